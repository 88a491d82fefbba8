package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Committed is an iteration with an exports record in the warehouse.
type Committed struct {
	Project, Iteration schema.ID

	// Export is the exports record, nil if that is damaged or could not be read.
	Export  *Export
	Damaged error

	// Unread is why the record, or an object that it lists, could not be looked at.
	Unread error

	// Whole reports whether the iteration counts as exported: every object that the
	// record lists is there, with its size and with its checksum or, where the store
	// keeps none, with the export's id inside.
	Whole bool
}

// CommittedProjects lists the projects with a committed export, ordered by id.
func CommittedProjects(ctx context.Context, s store.Store, set schema.TableSet) ([]schema.ID, error) {
	var projects []schema.ID
	for obj, err := range s.List(ctx, set.Commit.Name+"/") {
		if err != nil {
			return nil, fmt.Errorf("list table %s: %w", set.Commit.Name, err)
		}
		project, _, ok := set.Commit.ParsePath(obj.Key)
		if ok && (len(projects) == 0 || projects[len(projects)-1] != project) {
			projects = append(projects, project)
		}
	}
	return projects, nil
}

// maxReads is how many records are read at once: they are small, each a round trip.
const maxReads = 16

// maxUnread is how many iterations of a project may be unreadable for a reason that is
// not their own, such as a store that does not answer: then the project is.
const maxUnread = 8

// ReadProject reads the committed iterations of a project, ordered by id. It lists the
// objects, and reads the exports records. What cannot be read of an iteration is in its
// Unread, and does not hide the others.
func ReadProject(ctx context.Context, s store.Store, set schema.TableSet, project schema.ID) ([]Committed, error) {
	objects := map[string]store.Object{}
	var all []Committed
	for _, t := range set.All() {
		for obj, err := range s.List(ctx, t.Name+"/project_id="+project.String()+"/") {
			if err != nil {
				return nil, fmt.Errorf("list table %s of project %s: %w", t.Name, project, err)
			}
			_, iteration, ok := t.ParsePath(obj.Key)
			if !ok {
				continue
			}
			objects[obj.Key] = obj
			if t.Name == set.Commit.Name {
				all = append(all, Committed{Project: project, Iteration: iteration})
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	var unread atomic.Int64
	for i := range all {
		group.Go(func() error {
			err := all[i].read(ctx, s, objects)
			switch {
			case err == nil:
				return nil
			case ctx.Err() != nil, errors.Is(err, store.ErrLogin), errors.Is(err, store.ErrNoBucket):
				return err
			case !ofObject(err) && unread.Add(1) > maxUnread:
				return err
			}
			all[i].Unread, all[i].Whole = err, false
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(c Committed) bool { return errors.Is(c.Unread, fs.ErrNotExist) }), nil // removed since they were listed
}

// ofObject reports whether an error is about one object, and no trouble of the store.
func ofObject(err error) bool {
	return errors.Is(err, store.ErrNotFile) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

// ReadIteration reads one iteration; found is false if it has no exports record.
func ReadIteration(ctx context.Context, s store.Store, project, iteration schema.ID) (c Committed, found bool, err error) {
	c = Committed{Project: project, Iteration: iteration}
	err = c.read(ctx, s, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return c, false, nil
	}
	return c, err == nil, err
}

// read reads the record, and looks at the objects it lists unless they are known.
func (c *Committed) read(ctx context.Context, s store.Store, objects map[string]store.Object) error {
	e, _, err := ReadExport(ctx, s, c.Project, c.Iteration)
	if errors.Is(err, ErrDamaged) {
		c.Damaged = err
		return nil
	}
	if err != nil {
		return err
	}
	c.Export, c.Whole = &e, len(e.Objects) > 0
	for _, o := range e.Objects {
		obj, ok := objects[o.Key]
		if !ok { // missing, or of a table of a later version, or nothing was listed
			if obj, err = s.Stat(ctx, o.Key); errors.Is(err, fs.ErrNotExist) {
				c.Whole = false
				return nil
			}
		}
		if err == nil {
			ok, err = o.Matches(ctx, s, obj, e.ExportID)
		}
		if err != nil {
			return fmt.Errorf("look at table %s of project %s iteration %s: %w", o.Table, c.Project, c.Iteration, err)
		}
		c.Whole = c.Whole && ok
	}
	return nil
}

// Matches reports whether obj, an object of s, is the one that the record of the export
// describes.
func (o ObjectRecord) Matches(ctx context.Context, s store.Store, obj store.Object, exportID schema.ID) (bool, error) {
	if obj.Size != o.Bytes {
		return false, nil
	}
	if !obj.Summed { // a listing may lack what Stat tells
		var err error
		if obj, err = s.Stat(ctx, o.Key); err != nil {
			return false, store.IgnoreMissing(err)
		}
	}
	if !obj.Summed {
		file, err := s.OpenAt(ctx, o.Key)
		if err == nil { // its footer has the export's id, so the rest need not be read
			id := exportIDOf(file, obj.Size)
			return id == exportID.String(), file.Close()
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return false, store.IgnoreMissing(err)
		}
		if obj, err = store.Sum(ctx, s, obj); err != nil {
			return false, store.IgnoreMissing(err)
		}
	}
	return obj.Size == o.Bytes && obj.CRC32C == o.CRC32C, nil
}

package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Held is an iteration that the warehouse holds.
type Held struct {
	Project, Iteration schema.ID

	// Export is its exports record, nil if that is damaged.
	Export  *Export
	Damaged error

	// Whole reports whether the iteration counts as exported: every object that
	// the record lists is there with its size, and with its checksum or, where the
	// store keeps none, the export's id in it.
	Whole bool
}

// HeldProjects lists the projects with a committed export, in the order of
// their ids.
func HeldProjects(ctx context.Context, s store.Store) ([]schema.ID, error) {
	var projects []schema.ID
	for obj, err := range s.List(ctx, schema.Exports.Name+"/") {
		if err != nil {
			return nil, fmt.Errorf("list table %s: %w", schema.Exports.Name, err)
		}
		project, _, ok := parseKey(schema.Exports, obj.Key)
		if ok && (len(projects) == 0 || projects[len(projects)-1] != project) {
			projects = append(projects, project)
		}
	}
	return projects, nil
}

// ReadHeld reads which iterations of a project the warehouse holds, in the order
// of their ids. It lists the objects, and reads the exports records.
func ReadHeld(ctx context.Context, s store.Store, project schema.ID) ([]Held, error) {
	objects := map[string]store.Object{}
	var held []Held
	for _, t := range schema.Tables() {
		for obj, err := range s.List(ctx, t.Name+"/project_id="+project.String()+"/") {
			if err != nil {
				return nil, fmt.Errorf("list table %s of project %s: %w", t.Name, project, err)
			}
			_, iteration, ok := parseKey(t, obj.Key)
			if !ok {
				continue
			}
			objects[obj.Key] = obj
			if t.Name == schema.Exports.Name {
				held = append(held, Held{Project: project, Iteration: iteration})
			}
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	const most = 16 // small reads, each a round trip
	group.SetLimit(most)
	for i := range held {
		group.Go(func() error { return held[i].read(ctx, s, objects) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return held, nil
}

// ReadIteration is [ReadHeld] for one iteration; held is false if it has no
// exports record.
func ReadIteration(ctx context.Context, s store.Store, project, iteration schema.ID) (h Held, held bool, err error) {
	h = Held{Project: project, Iteration: iteration}
	err = h.read(ctx, s, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return h, false, nil
	}
	return h, err == nil, err
}

func (h *Held) read(ctx context.Context, s store.Store, objects map[string]store.Object) error {
	e, _, err := ReadExport(ctx, s, h.Project, h.Iteration)
	if errors.Is(err, errDamaged) {
		h.Damaged = err
		return nil
	}
	if err != nil {
		return err
	}
	h.Export, h.Whole = &e, len(e.Objects) > 0
	for _, o := range e.Objects {
		obj, ok := objects[o.Key]
		if !ok { // a later version's table, none, or nothing was listed
			if obj, err = s.Stat(ctx, o.Key); errors.Is(err, fs.ErrNotExist) {
				h.Whole = false
				return nil
			}
		}
		if err == nil {
			ok, err = isRecorded(ctx, s, obj, o, e.ExportID)
		}
		if err != nil {
			return fmt.Errorf("look at table %s of project %s iteration %s: %w", o.Table, h.Project, h.Iteration, err)
		}
		h.Whole = h.Whole && ok
	}
	return nil
}

// isRecorded reports whether an object is the one that an exports record lists.
func isRecorded(ctx context.Context, s store.Store, obj store.Object, o ObjectRecord, exportID schema.ID) (bool, error) {
	if obj.Size != o.Bytes {
		return false, nil
	}
	if !obj.Summed { // not in a listing; perhaps by itself
		var err error
		if obj, err = s.Stat(ctx, o.Key); err != nil {
			return false, ignoreMissing(err)
		}
	}
	if !obj.Summed {
		file, err := s.OpenAt(ctx, o.Key)
		if err == nil { // its end has the export's id, so the rest need not be read
			id := exportIDOf(file, obj.Size)
			return id == exportID.String(), file.Close()
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return false, ignoreMissing(err)
		}
		if obj, err = store.Sum(ctx, s, obj); err != nil {
			return false, ignoreMissing(err)
		}
	}
	return obj.Size == o.Bytes && obj.CRC32C == o.CRC32C, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

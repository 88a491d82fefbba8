package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Prior is the state of an iteration in the warehouse when an export of it begins.
// [Publish] expects to find it unchanged.
type Prior struct {
	set       schema.TableSet
	project   schema.ID
	iteration schema.ID
	versions  map[string]string // of the objects, by key; a key without an object is not in it
	export    *Export
	damaged   error
}

// ReadPrior looks at the objects of an iteration in the tables of a set. It is no
// error if there are none. It is one if the warehouse cannot be written to, as far as
// that can be told without writing.
func ReadPrior(ctx context.Context, s store.Store, set schema.TableSet, project, iteration schema.ID) (Prior, error) {
	p := Prior{set: set, project: project, iteration: iteration, versions: map[string]string{}}
	if err := s.CheckWrite(ctx, 0); err != nil {
		return Prior{}, err
	}
	for _, t := range set.All() {
		key := t.Path(project, iteration)
		obj, err := s.Stat(ctx, key)
		switch {
		case err == nil:
			p.versions[key] = obj.Version
		case !errors.Is(err, fs.ErrNotExist):
			return Prior{}, fmt.Errorf("look at table %s of project %s iteration %s: %w", t.Name, project, iteration, err)
		}
	}
	e, obj, err := ReadExport(ctx, s, project, iteration)
	switch {
	case err == nil:
		p.export = &e
		p.versions[obj.Key] = obj.Version
	case errors.Is(err, ErrDamaged):
		p.damaged = err
	case !errors.Is(err, fs.ErrNotExist):
		return Prior{}, err
	}
	return p, nil
}

// Export returns the iteration's exports record, nil when it was never
// exported or its record is damaged.
func (p Prior) Export() *Export { return p.export }

// Damaged returns why the iteration's exports record cannot be read, nil if it can be
// or there is none.
func (p Prior) Damaged() error { return p.damaged }

// Publish puts the tables of an export into the warehouse, which is all six
// objects of the iteration: the data tables in the order of the schema, then
// the exports record, which commits them. It returns e as it was committed.
//
// Of several exports of one iteration at once, one commits. Who put the images
// last owns the iteration: they are put first, over what prior saw, and only
// while they are still its own does an export put anything else. The error of
// the others wraps [store.ErrConflict]. All objects are looked at before the first is
// written. A failure or a cancelled ctx leaves each object whole, old or new,
// and the iteration not whole ([Committed]): it is to be exported again. The tables
// stay open.
func Publish(ctx context.Context, s store.Store, e Export, tables []*Table, prior Prior) (Export, error) {
	p := publication{store: s, export: e, prior: prior}
	if err := p.run(ctx, tables); err != nil {
		return Export{}, fmt.Errorf("publish project %s iteration %s: %w", e.Project, e.Iteration, err)
	}
	return p.export, nil
}

type publication struct {
	store  store.Store
	export Export
	prior  Prior
	claim  string // the version of our images, once they are put
}

func (p *publication) run(ctx context.Context, tables []*Table) error {
	ordered, err := p.order(tables)
	if err != nil {
		return err
	}
	if err := p.unchanged(ctx); err != nil {
		return err
	}
	if err := p.checkSpace(ctx, ordered); err != nil {
		return err
	}
	p.export.Objects = nil
	for _, t := range ordered {
		key := t.table.Path(p.export.Project, p.export.Iteration)
		if err := p.put(ctx, t.table, t); err != nil {
			return err
		}
		*p.export.rowsOf(t.table.Name) = t.rows
		p.export.Objects = append(p.export.Objects, ObjectRecord{
			Table: t.table.Name, Key: key, Rows: t.rows, Bytes: t.size, CRC32C: t.crc,
		})
	}
	p.export.SchemaVersion = schema.Version
	p.export.FinishedAt = time.Now().UTC().Truncate(time.Microsecond)
	body, err := EncodeRecord(p.export)
	if err != nil {
		return fmt.Errorf("table %s: %w", p.prior.set.Commit.Name, err)
	}
	return p.put(ctx, p.prior.set.Commit, store.NewBytesSource(body))
}

// order returns the tables as they are published. There must be one of each,
// all of this export.
func (p *publication) order(tables []*Table) ([]*Table, error) {
	if p.prior.project != p.export.Project || p.prior.iteration != p.export.Iteration {
		return nil, fmt.Errorf("what was there before was read of project %s iteration %s", p.prior.project, p.prior.iteration)
	}
	byName := map[string]*Table{}
	for _, t := range tables {
		if byName[t.table.Name] != nil {
			return nil, fmt.Errorf("table %s is there twice", t.table.Name)
		}
		if t.exportID != p.export.ExportID {
			return nil, fmt.Errorf("table %s is of export %s, not of %s", t.table.Name, t.exportID, p.export.ExportID)
		}
		byName[t.table.Name] = t
	}
	var ordered []*Table
	for _, want := range p.prior.set.Data {
		t := byName[want.Name]
		if t == nil {
			return nil, fmt.Errorf("table %s is missing", want.Name)
		}
		ordered = append(ordered, t)
	}
	if len(ordered) != len(tables) {
		return nil, fmt.Errorf("%d tables, want %d", len(tables), len(ordered))
	}
	return ordered, nil
}

// unchanged compares every object's version with the one it had before, while
// a conflict still costs nothing.
func (p *publication) unchanged(ctx context.Context) error {
	for _, t := range p.prior.set.All() {
		key := t.Path(p.export.Project, p.export.Iteration)
		obj, err := p.store.Stat(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		if obj.Version != p.prior.versions[key] {
			return conflict(t, fmt.Errorf("%s has changed: %w", key, store.ErrConflict))
		}
	}
	return nil
}

// checkSpace makes sure that there is space for all tables: a disk that fills up after
// the first would leave old tables beside new ones.
func (p *publication) checkSpace(ctx context.Context, tables []*Table) error {
	bytes := int64(1 << 20) // of the exports record, and for what the file system adds
	for _, t := range tables {
		bytes += t.size
	}
	if err := p.store.CheckWrite(ctx, bytes); err != nil {
		return fmt.Errorf("not written: %w", err)
	}
	return nil
}

// put writes one object. The images must be what they were before; any other
// object is written over whatever is there, for as long as the images are ours:
// who began later and put them meanwhile comes by here as well.
func (p *publication) put(ctx context.Context, t schema.Table, src store.Source) error {
	key := t.Path(p.export.Project, p.export.Iteration)
	const tries = 10 // each one lost is another export that wrote the object and then stopped
	for try := 1; ; try++ {
		old := p.prior.versions[key]
		if p.claim != "" {
			var err error
			if old, err = p.version(ctx, key); err == nil {
				err = p.owned(ctx)
			}
			if err != nil {
				return fmt.Errorf("table %s: not written: %w", t.Name, err)
			}
		} else if err := ctx.Err(); err != nil {
			return fmt.Errorf("table %s: not written: %w", t.Name, err)
		}
		obj, err := p.store.Put(ctx, key, src, old)
		switch {
		case errors.Is(err, store.ErrConflict) && p.claim != "" && try < tries:
			continue
		case errors.Is(err, store.ErrConflict):
			return conflict(t, err)
		case err != nil:
			return fmt.Errorf("table %s: %w", t.Name, err)
		case obj.Size != src.Size() || obj.CRC32C != src.CRC32C():
			return fmt.Errorf("table %s: %s was written, but is not what was sent: %d bytes, crc32c %08x; want %d, %08x",
				t.Name, key, obj.Size, obj.CRC32C, src.Size(), src.CRC32C())
		}
		if p.claim == "" {
			p.claim = obj.Version
		}
		return nil
	}
}

// version is the object's now, empty if there is none.
func (p *publication) version(ctx context.Context, key string) (string, error) {
	obj, err := p.store.Stat(ctx, key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return obj.Version, nil
}

// owned is nil as long as nobody else has put the images.
func (p *publication) owned(ctx context.Context) error {
	now, err := p.version(ctx, p.prior.set.Data[0].Path(p.export.Project, p.export.Iteration))
	if err == nil && now != p.claim {
		err = conflict(p.prior.set.Data[0], fmt.Errorf("they were written again: %w", store.ErrConflict))
	}
	return err
}

func conflict(t schema.Table, err error) error {
	return fmt.Errorf("table %s: %w; another export of this iteration runs or has just ended, and this one stops for it: export it again if that one fails", t.Name, err)
}

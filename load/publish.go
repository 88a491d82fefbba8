package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
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
// that can be seen without writing.
func ReadPrior(ctx context.Context, s store.Store, set schema.TableSet, project, iteration schema.ID) (Prior, error) {
	p := Prior{set: set, project: project, iteration: iteration, versions: map[string]string{}}
	var keys []string
	for _, t := range set.All() {
		keys = append(keys, t.Path(project, iteration))
	}
	if err := s.CheckWrite(ctx, 0, keys...); err != nil {
		return Prior{}, err
	}
	for i, key := range keys {
		obj, err := s.Stat(ctx, key)
		switch {
		case err == nil:
			p.versions[key] = obj.Version
		case !errors.Is(err, fs.ErrNotExist):
			return Prior{}, fmt.Errorf("look at table %s of project %s iteration %s: %w", set.All()[i].Name, project, iteration, err)
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

// Export returns the iteration's exports record, nil if it was never exported or its
// record is damaged.
func (p Prior) Export() *Export { return p.export }

// Damaged returns why the iteration's exports record cannot be read, nil if it can be
// or there is none.
func (p Prior) Damaged() error { return p.damaged }

// Publish puts the tables of an export into the warehouse: the data tables of the set
// in its order, then the exports record, which commits them. It returns e as it was
// committed. The tables stay open.
//
// If several exports of one iteration run at once, one commits, and the errors of the
// others wrap [store.ErrConflict]. The export that put the first table last owns the
// iteration: that table is put first, over the prior version and unless another export
// has committed since, and an export puts anything else only as long as the table is its
// own. All objects are looked at before the first is written. A failure or a cancelled
// ctx leaves each object whole, old or new, and the iteration not whole ([Committed]),
// so that it is exported again.
//
// Two exports can commit one after the other if the store cannot compare two objects in
// one step, and the second one puts its first table in the moment in which the first
// commits. The iteration is whole then, too.
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
	claim  store.Object // our first table, once it is put
}

func (p *publication) run(ctx context.Context, tables []*Table) error {
	ordered, err := p.order(tables)
	if err != nil {
		return err
	}
	if err := p.unchanged(ctx); err != nil {
		return err
	}
	if err := p.store.Probe(ctx); err != nil {
		return err
	}
	if err := p.checkSpace(ctx, ordered); err != nil {
		return err
	}
	p.export.Objects, p.export.Rows = nil, map[string]int64{}
	for _, t := range ordered {
		key := t.table.Path(p.export.Project, p.export.Iteration)
		if err := p.put(ctx, t.table, t); err != nil {
			return err
		}
		p.export.Rows[t.table.Name] = t.rows
		p.export.Objects = append(p.export.Objects, ObjectRecord{
			Table: t.table.Name, Key: key, Rows: t.rows, Bytes: t.Size(), CRC32C: t.CRC32C(),
		})
	}
	p.export.SchemaVersion = schema.Version
	p.export.FinishedAt = time.Now().UTC().Truncate(time.Microsecond)
	body, err := EncodeRecord(p.export)
	if err != nil {
		return fmt.Errorf("table %s: %w", p.prior.set.Commit.Name, err)
	}
	if err := p.put(ctx, p.prior.set.Commit, store.NewBytesSource(body)); err != nil {
		return err
	}
	// The first table may have been put over in the moment of the commit. If that cannot
	// be told, the export is committed all the same, and the next run looks again.
	if err := p.owned(ctx); errors.Is(err, store.ErrConflict) {
		return err
	}
	return nil
}

// order returns the tables in the order in which they are published. There must be
// one of each, all of this export.
func (p *publication) order(tables []*Table) ([]*Table, error) {
	if p.prior.project != p.export.Project || p.prior.iteration != p.export.Iteration {
		return nil, fmt.Errorf("the prior state is that of project %s iteration %s", p.prior.project, p.prior.iteration)
	}
	byName := map[string]*Table{}
	for _, t := range tables {
		if byName[t.table.Name] != nil {
			return nil, fmt.Errorf("there are two tables %s", t.table.Name)
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
		if !slices.ContainsFunc(p.prior.set.Commit.Columns, func(c schema.Column) bool { return c.Name == want.Name }) {
			return nil, fmt.Errorf("table %s has no count of its rows in table %s: add the column to the schema", want.Name, p.prior.set.Commit.Name)
		}
		ordered = append(ordered, t)
	}
	if len(ordered) != len(tables) {
		return nil, fmt.Errorf("%d tables, want %d", len(tables), len(ordered))
	}
	return ordered, nil
}

// unchanged compares the version of every object with the prior one, while a conflict
// costs nothing yet.
func (p *publication) unchanged(ctx context.Context) error {
	for _, t := range p.prior.set.All() {
		key := t.Path(p.export.Project, p.export.Iteration)
		obj, err := p.store.Stat(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		if obj.Version != p.prior.versions[key] {
			return conflict(t, fmt.Errorf("%s: %w", key, store.ErrConflict))
		}
	}
	return nil
}

// checkSpace checks that there is space for all tables. A disk that fills up after the
// first would leave old tables beside new ones.
func (p *publication) checkSpace(ctx context.Context, tables []*Table) error {
	bytes := int64(1 << 20) // for the exports record and the file system itself
	for _, t := range tables {
		bytes += t.Size()
	}
	if err := p.store.CheckWrite(ctx, bytes); err != nil {
		return fmt.Errorf("not written: %w", err)
	}
	return nil
}

// put writes one object. The first table's must have its prior version, and putting it
// claims the iteration. The other objects replace whatever is there, as long as the
// claim stands: an export that claims the iteration later writes them again.
func (p *publication) put(ctx context.Context, t schema.Table, src store.Source) error {
	key := t.Path(p.export.Project, p.export.Iteration)
	commit := p.prior.set.Commit.Path(p.export.Project, p.export.Iteration)
	claimed := p.claim.Version != ""
	const maxTries = 10 // each loses to another export, which then stops
	for try := 1; ; try++ {
		old, other := p.prior.versions[key], store.Object{Key: commit, Version: p.prior.versions[commit]}
		err := ctx.Err()
		if err == nil && claimed {
			other = p.claim
			old, err = p.version(ctx, key)
		}
		if err != nil {
			return fmt.Errorf("table %s: not written: %w", t.Name, err)
		}
		obj, err := p.store.Put(ctx, key, src, old, other)
		switch {
		case errors.Is(err, store.ErrConflict) && claimed && try < maxTries:
			if err := p.owned(ctx); err != nil {
				return fmt.Errorf("table %s: not written: %w", t.Name, err)
			}
			continue
		case errors.Is(err, store.ErrConflict):
			return conflict(t, err)
		case err != nil:
			return fmt.Errorf("table %s: %w", t.Name, err)
		case obj.Size != src.Size() || obj.CRC32C != src.CRC32C():
			return fmt.Errorf("table %s: %s was written, but differs from what was sent: %d bytes, crc32c %08x; want %d, %08x",
				t.Name, key, obj.Size, obj.CRC32C, src.Size(), src.CRC32C())
		}
		if !claimed {
			p.claim = obj
		}
		return nil
	}
}

// version returns the current version of an object, empty if there is none.
func (p *publication) version(ctx context.Context, key string) (string, error) {
	obj, err := p.store.Stat(ctx, key)
	return obj.Version, store.IgnoreMissing(err)
}

// owned returns an error if another export has claimed the iteration.
func (p *publication) owned(ctx context.Context) error {
	now, err := p.version(ctx, p.claim.Key)
	if err == nil && now != p.claim.Version {
		err = conflict(p.prior.set.Data[0], fmt.Errorf("%s: %w", p.claim.Key, store.ErrConflict))
	}
	return err
}

func conflict(t schema.Table, err error) error {
	return fmt.Errorf("table %s: %w: another export of this iteration is running, so this one stops; if that one fails, export again", t.Name, err)
}

package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Prior is what the warehouse held of an iteration when an export of it began.
// It is what [Publish] expects still to find.
type Prior struct {
	project   schema.ID
	iteration schema.ID
	objects   map[string]Object // by key; a key without an object is not in it
	export    *Export
}

// ReadPrior looks at all objects of an iteration. That it has none is no error.
func ReadPrior(ctx context.Context, s Store, project, iteration schema.ID) (Prior, error) {
	p := Prior{project: project, iteration: iteration, objects: map[string]Object{}}
	e, obj, err := ReadExport(ctx, s, project, iteration)
	switch {
	case err == nil:
		p.export = &e
		p.objects[obj.Key] = obj
	case !errors.Is(err, fs.ErrNotExist):
		return Prior{}, err
	}
	for _, t := range schema.DataTables() {
		if err := p.look(ctx, s, t.Name, t.Path(project, iteration)); err != nil {
			return Prior{}, err
		}
	}
	if p.export != nil {
		for _, o := range p.export.Objects { // a later version's tables
			if err := p.look(ctx, s, o.Table, o.Key); err != nil {
				return Prior{}, err
			}
		}
	}
	return p, nil
}

func (p Prior) look(ctx context.Context, s Store, table, key string) error {
	if _, known := p.objects[key]; known {
		return nil
	}
	obj, err := s.Stat(ctx, key)
	switch {
	case err == nil:
		p.objects[key] = obj
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at table %s of project %s iteration %s: %w", table, p.project, p.iteration, err)
	}
	return nil
}

// Export returns the iteration's exports record, nil when it was never exported.
func (p Prior) Export() *Export { return p.export }

// Committed reports whether the iteration counts as exported: all objects that
// its exports record lists are there, with that size and checksum. One that is
// not is to be exported again.
func (p Prior) Committed() bool {
	if p.export == nil || len(p.export.Objects) == 0 {
		return false
	}
	for _, o := range p.export.Objects {
		obj, ok := p.objects[o.Key]
		if !ok || obj.Size != o.Bytes || obj.CRC32C != o.CRC32C {
			return false
		}
	}
	return true
}

// Publish puts the tables of an export into the warehouse, which is all six
// objects of the iteration: the data tables in the order of the schema, then
// the exports record, which commits them. It returns e as it was committed.
//
// The error wraps [ErrConflict] when somebody else wrote one of the objects
// since prior was read. All are looked at before the first is written; a
// conflict found later than that, a failure or a cancelled ctx leaves each
// object whole, old or new, and the iteration not [Prior.Committed]: it is to
// be exported again. The tables stay open.
func Publish(ctx context.Context, s Store, e Export, tables []*Table, prior Prior) (Export, error) {
	p := publication{store: s, export: e, prior: prior}
	if err := p.run(ctx, tables); err != nil {
		return Export{}, fmt.Errorf("publish project %s iteration %s: %w", e.Project, e.Iteration, err)
	}
	return p.export, nil
}

type publication struct {
	store  Store
	export Export
	prior  Prior
}

func (p *publication) run(ctx context.Context, tables []*Table) error {
	ordered, err := p.order(tables)
	if err != nil {
		return err
	}
	if err := p.unchanged(ctx); err != nil {
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
	body, err := encodeExport(p.export)
	if err != nil {
		return fmt.Errorf("table %s: %w", schema.Exports.Name, err)
	}
	return p.put(ctx, schema.Exports, newBytesSource(body))
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
	for _, want := range schema.DataTables() {
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
	for _, t := range schema.Tables() {
		key := t.Path(p.export.Project, p.export.Iteration)
		obj, err := p.store.Stat(ctx, key)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		if obj.Version != p.prior.objects[key].Version {
			return conflict(t, fmt.Errorf("%s has changed: %w", key, ErrConflict))
		}
	}
	return nil
}

func (p *publication) put(ctx context.Context, t schema.Table, src Source) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("table %s: not written: %w", t.Name, err)
	}
	key := t.Path(p.export.Project, p.export.Iteration)
	obj, err := p.store.Put(ctx, key, src, p.prior.objects[key].Version)
	if errors.Is(err, ErrConflict) {
		return conflict(t, err)
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", t.Name, err)
	}
	if obj.Size != src.Size() || obj.CRC32C != src.CRC32C() {
		return fmt.Errorf("table %s: %s was written, but is not what was sent: %d bytes, crc32c %08x; want %d, %08x",
			t.Name, key, obj.Size, obj.CRC32C, src.Size(), src.CRC32C())
	}
	return nil
}

func conflict(t schema.Table, err error) error {
	return fmt.Errorf("table %s: %w; another export of this iteration is running or has just ended: export it again if that one fails", t.Name, err)
}

// bytesSource is a [Source] in memory.
type bytesSource struct {
	*bytes.Reader
	crc uint32
}

func newBytesSource(body []byte) bytesSource {
	return bytesSource{bytes.NewReader(body), crc32.Checksum(body, castagnoli)}
}

func (s bytesSource) CRC32C() uint32 { return s.crc }

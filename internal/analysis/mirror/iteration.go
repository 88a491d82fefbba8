package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// iteration is an iteration of the warehouse that is being copied.
type iteration struct {
	*update
	project, id schema.ID
	listed      store.Object // its exports record

	skipped  bool // there is no readable record
	export   load.Export
	record   []byte            // the bytes of the exports record
	cached   string            // the version of the record in the cache, empty for none
	current  bool              // whether that one is the same
	have     map[string]string // the versions of the cache's files that are what the record says, by table
	todo     []missingObject
	progress Progress
	findings []load.Finding
}

func (m *iteration) failed(table string, err error) error {
	return fmt.Errorf("table %s of project %s iteration %s: %w", table, m.project, m.id, err)
}

func (m *iteration) found(table, key, format string, args ...any) {
	m.findings = append(m.findings, load.Finding{Project: m.project, Iteration: m.id, Table: table, Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (m *iteration) advance(p Progress) {
	m.progress = m.progress.plus(p)
	m.add(p)
}

// plan reads the exports record and determines what to fetch.
func (m *iteration) plan(ctx context.Context) error {
	m.advance(Progress{-m.progress.Objects, -m.progress.AllObjects, -m.progress.Bytes, -m.progress.AllBytes})
	m.todo, m.findings = nil, nil
	if err := m.read(ctx); err != nil {
		return m.failed(schema.Exports.Name, err)
	}
	if m.skipped {
		return nil
	}
	var err error
	if m.todo, m.have, err = m.missing(ctx, m.export, m.want); err != nil {
		return m.failed(schema.Exports.Name, err)
	}
	var todo Progress
	for i, o := range m.todo {
		if m.todo[i].same, err = m.warehouseDiffers(ctx, o); err != nil {
			return m.failed(o.Table, err)
		}
		if !m.todo[i].same {
			todo.AllObjects++
			todo.AllBytes += o.Bytes
		}
	}
	if !m.current {
		todo.AllObjects++
		todo.AllBytes += int64(len(m.record))
	}
	m.advance(todo)
	return m.unlisted(ctx)
}

// read reads the exports record, from the cache if that has the warehouse's current one.
// It skips the iteration if there is no readable record.
func (m *iteration) read(ctx context.Context) error {
	key := schema.Exports.Path(m.project, m.id)
	cached, body, err := m.cachedRecord(ctx, key)
	if err != nil {
		return err
	}
	now := m.listed
	if cached != "" && !now.Summed { // a listing may lack what Stat tells
		now, err = m.from.Stat(ctx, key)
	}
	m.cached, m.record, m.current = cached, body, true
	if err == nil && (cached == "" || !now.Matches(store.NewBytesSource(body))) {
		m.record, now, err = load.FetchRecord(ctx, m.from, key)
		m.current = cached != "" && bytes.Equal(m.record, body)
	}
	if err == nil {
		m.export, err = load.DecodeRecord(m.record)
	}
	m.listed = now
	m.export.Project, m.export.Iteration = m.project, m.id
	switch {
	case errors.Is(err, load.ErrDamaged):
		m.found(schema.Exports.Name, key, "%v; the iteration is left out: export it again with --force", err)
		return m.skip(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return m.skip(ctx)
	}
	return err
}

// cachedRecord reads the record in the cache, and its version, which is empty if there
// is none. A damaged one has no bytes, and is replaced.
func (m *iteration) cachedRecord(ctx context.Context, key string) (version string, body []byte, err error) {
	obj, err := m.store.Stat(ctx, key)
	if err == nil {
		body, _, err = load.FetchRecord(ctx, m.store, key)
	}
	if errors.Is(err, load.ErrDamaged) {
		return obj.Version, nil, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	return obj.Version, body, err
}

// skip removes the iteration from the cache, the record first, which hides it.
func (m *iteration) skip(ctx context.Context) error {
	m.skipped = true
	for _, t := range slices.Backward(schema.Evaluation.All()) {
		if err := m.drop(ctx, t.Path(m.project, m.id)); err != nil {
			return err
		}
	}
	return nil
}

// drop removes an object from the cache, if it is there.
func (m *iteration) drop(ctx context.Context, key string) error {
	obj, err := m.store.Stat(ctx, key)
	if err != nil {
		return store.IgnoreMissing(err)
	}
	return m.store.Remove(ctx, key, obj.Version)
}

// unlisted drops what the exports record does not list, and reports what it lists under
// a key that is not the table's.
func (m *iteration) unlisted(ctx context.Context) error {
	listed := map[string]bool{}
	for _, o := range m.export.Objects {
		table, known := schema.Evaluation.Find(o.Table)
		if known && o.Key != table.Path(m.project, m.id) {
			m.found(o.Table, o.Key, "the exports record lists it under a key that is not the table's; it is left out")
			continue
		}
		listed[o.Table] = true
	}
	for _, t := range schema.Evaluation.Data {
		if m.want(t.Name) && !listed[t.Name] {
			if err := m.drop(ctx, t.Path(m.project, m.id)); err != nil {
				return m.failed(t.Name, err)
			}
			m.have[t.Name] = ""
		}
	}
	return nil
}

// errChanged means that the warehouse has another exports record now.
var errChanged = errors.New("it was exported again")

// fetch fetches what is to do. It starts over if the warehouse or the cache was written
// meanwhile.
func (m *iteration) fetch(ctx context.Context) error {
	const maxTries = 10
	for try := 1; !m.skipped; try++ {
		err := m.copy(ctx)
		if !errors.Is(err, errChanged) && !errors.Is(err, store.ErrConflict) { // another process fetches it too
			return err
		}
		if try == maxTries {
			return fmt.Errorf("%w, each of the %d times that it was read; try again later", err, maxTries)
		}
		if err := m.plan(ctx); err != nil {
			return err
		}
	}
	return nil
}

// copy copies each missing object, and the exports record last. The error is errChanged
// if the record has changed meanwhile.
func (m *iteration) copy(ctx context.Context) error {
	for _, o := range m.todo {
		err := m.object(ctx, o)
		if errors.Is(err, store.ErrTooLong) {
			m.found(o.Table, o.Key, "%v; the iteration is left out: export it again with --force", err)
			return m.skip(ctx)
		}
		if err != nil {
			return m.failed(o.Table, err)
		}
		if !o.same {
			m.advance(Progress{Objects: 1})
		}
	}
	if m.current {
		m.have[schema.Exports.Name] = m.cached
		return nil
	}
	put, err := m.store.Put(ctx, schema.Exports.Path(m.project, m.id), store.NewBytesSource(m.record), m.cached)
	if err != nil {
		return m.failed(schema.Exports.Name, err)
	}
	m.have[schema.Exports.Name] = put.Version
	m.advance(Progress{Objects: 1, Bytes: int64(len(m.record))})
	return nil
}

// object copies one object. One that differs from the exports record is copied as it is
// if the record has not changed.
func (m *iteration) object(ctx context.Context, o missingObject) (err error) {
	var file *store.File
	if !o.same {
		if file, err = m.download(ctx, o); err != nil {
			return err
		}
	}
	if file != nil {
		defer func() { err = errors.Join(err, file.Close()) }()
		if matches(file, o) {
			var put store.Object
			put, err = m.store.Put(ctx, o.Key, file, o.version)
			m.have[o.Table] = put.Version
			return err
		}
	}
	if err := m.unchanged(ctx); err != nil {
		return err
	}
	if file == nil && !o.same {
		m.found(o.Table, o.Key, "it is missing; export the iteration again")
		return m.drop(ctx, o.Key)
	}
	m.found(o.Table, o.Key, "it is not what the exports record of export %s says: another export is running or was interrupted; export the iteration again", m.export.ExportID)
	if file != nil {
		_, err = m.store.Put(ctx, o.Key, file, o.version)
	}
	return err
}

// matches reports whether a file is the recorded object.
func matches(file *store.File, o missingObject) bool {
	return file.Size() == o.Bytes && file.CRC32C() == o.CRC32C
}

// warehouseDiffers reports whether the object in the warehouse is not the recorded one,
// but the one that the cache has already.
func (m *iteration) warehouseDiffers(ctx context.Context, o missingObject) (bool, error) {
	if o.version == "" {
		return false, nil
	}
	now, err := m.from.Stat(ctx, o.Key)
	if err != nil {
		return false, store.IgnoreMissing(err)
	}
	if !now.Summed || now.Size == o.Bytes && now.CRC32C == o.CRC32C {
		return false, nil
	}
	cached, err := store.Sum(ctx, m.store, store.Object{Key: o.Key})
	return err == nil && cached.Size == now.Size && cached.CRC32C == now.CRC32C, store.IgnoreMissing(err)
}

// unchanged returns errChanged if the warehouse has another exports record now.
func (m *iteration) unchanged(ctx context.Context) error {
	body, now, err := load.FetchRecord(ctx, m.from, schema.Exports.Path(m.project, m.id))
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, load.ErrDamaged):
		m.listed = store.Object{} // plan finds out
		return errChanged
	case err != nil:
		return err
	}
	m.listed = now
	if !bytes.Equal(body, m.record) {
		return errChanged
	}
	return nil
}

// slack is how much longer than its record says an object may be, beyond twice, before its
// store is asked: another export of the iteration has put it.
const slack = 1 << 20

// download copies an object to a file, nil if there is no object. A file that differs
// from the record is accepted if the store describes it so too, or if two downloads are
// alike.
func (m *iteration) download(ctx context.Context, o missingObject) (*store.File, error) {
	const maxTries = 3
	var last store.Object // the size and checksum of the file before
	limit := 2*o.Bytes + slack
	for try := 1; ; try++ {
		arrived := int64(0)
		file, err := store.Fetch(ctx, m.from, m.store.Root(), o.Key, limit, func(n int) {
			arrived += int64(n)
			m.advance(Progress{Bytes: int64(n)})
		})
		if err == nil {
			accept := matches(file, o) || last.Matches(file)
			if !accept {
				accept, err = m.confirms(ctx, o.Key, file)
			}
			if accept {
				return file, nil
			}
			last = store.Object{Size: file.Size(), CRC32C: file.CRC32C(), Summed: true}
			if err := errors.Join(err, file.Close()); err != nil {
				return nil, err
			}
			err = errors.New("it arrives broken")
		} else if errors.Is(err, store.ErrTooLong) { // unless it is another one than the record says
			now, statErr := m.from.Stat(ctx, o.Key)
			if err := store.IgnoreMissing(statErr); err != nil {
				return nil, err
			}
			if now.Size <= limit {
				return nil, err
			}
			limit = now.Size
		} else if broken, ok := errors.AsType[*store.UnreadableError](err); ok && errors.Is(broken, fs.ErrNotExist) {
			return nil, nil
		} else if !ok || !broken.Opened || ctx.Err() != nil {
			return nil, err
		}
		if try == maxTries {
			return nil, fmt.Errorf("reading %s: %w, %d times", m.from.URL(o.Key), err, try)
		}
		m.advance(Progress{Bytes: -arrived})
	}
}

// confirms reports whether the store describes the object as the file is. A store
// without checksums describes its size alone.
func (m *iteration) confirms(ctx context.Context, key string, file *store.File) (bool, error) {
	now, err := m.from.Stat(ctx, key)
	if err != nil {
		return false, store.IgnoreMissing(err)
	}
	return now.Size == file.Size() && (!now.Summed || now.CRC32C == file.CRC32C()), nil
}

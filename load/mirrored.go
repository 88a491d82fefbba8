package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// mirrored is an iteration of a warehouse on its way into a cache.
type mirrored struct {
	*update
	project, iteration schema.ID
	listed             store.Object // its exports record

	gone     bool // there is no record that can be read
	export   Export
	record   []byte // the exports record
	held     string // the version of the one that the cache holds, empty for none
	current  bool   // whether that is the same
	lacking  []lack
	far      Fetching
	findings []Finding
}

func (m *mirrored) failed(table string, err error) error {
	return fmt.Errorf("table %s of project %s iteration %s: %w", table, m.project, m.iteration, err)
}

func (m *mirrored) found(table, key, format string, args ...any) {
	m.findings = append(m.findings, Finding{m.project, m.iteration, table, key, fmt.Sprintf(format, args...)})
}

// progress notes how far this iteration is.
func (m *mirrored) progress(far Fetching) {
	m.far = m.far.plus(far)
	m.add(far)
}

// plan reads the exports record and finds out what the cache lacks.
func (m *mirrored) plan(ctx context.Context) error {
	m.progress(Fetching{-m.far.Objects, -m.far.AllObjects, -m.far.Bytes, -m.far.AllBytes})
	m.lacking, m.findings = nil, nil
	if err := m.read(ctx); err != nil {
		return m.failed(schema.Exports.Name, err)
	}
	if m.gone {
		return nil
	}
	var err error
	if m.lacking, err = m.lacks(ctx, m.export, m.want); err != nil {
		return m.failed(schema.Exports.Name, err)
	}
	var todo Fetching
	for i, o := range m.lacking {
		if m.lacking[i].unlike, err = m.isUnlike(ctx, o); err != nil {
			return m.failed(o.Table, err)
		}
		if !m.lacking[i].unlike {
			todo.AllObjects++
			todo.AllBytes += o.Bytes
		}
	}
	if !m.current {
		todo.AllObjects++
		todo.AllBytes += int64(len(m.record))
	}
	m.progress(todo)
	return m.unlisted(ctx)
}

// read reads the exports record, from the cache if that holds the one that the
// warehouse has now. Without a record that can be read the iteration is left out.
func (m *mirrored) read(ctx context.Context) error {
	key := schema.Exports.Path(m.project, m.iteration)
	held, body, err := m.cached(ctx, key)
	if err != nil {
		return err
	}
	now := m.listed
	if held != "" && !now.Summed { // not in a listing; perhaps by itself
		now, err = m.from.Stat(ctx, key)
	}
	m.held, m.record, m.current = held, body, true
	if err == nil && (held == "" || !now.Matches(store.NewBytesSource(body))) {
		m.record, now, err = fetchExport(ctx, m.from, key)
		m.current = held != "" && bytes.Equal(m.record, body)
	}
	if err == nil {
		if m.export, err = decodeExport(m.record); err != nil {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	m.listed = now
	m.export.Project, m.export.Iteration = m.project, m.iteration
	switch {
	case errors.Is(err, errDamaged):
		m.found(schema.Exports.Name, key, "%v; the iteration is left out: export it again with --force", err)
		return m.leaveOut(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return m.leaveOut(ctx)
	}
	return err
}

// cached reads an object of the cache, and which version of it that is, empty
// for none.
func (m *mirrored) cached(ctx context.Context, key string) (version string, body []byte, err error) {
	obj, err := m.store.Stat(ctx, key)
	if err == nil {
		body, err = fetch(ctx, m.store, key, mostRecord)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, nil
	}
	return obj.Version, body, err
}

// leaveOut removes the iteration from the cache, the record first: then it is
// hidden.
func (m *mirrored) leaveOut(ctx context.Context) error {
	m.gone = true
	for _, t := range append([]schema.Table{schema.Exports}, schema.DataTables()...) {
		if err := m.drop(ctx, t.Path(m.project, m.iteration)); err != nil {
			return err
		}
	}
	return nil
}

// drop removes what the cache holds of an object, if anything.
func (m *mirrored) drop(ctx context.Context, key string) error {
	obj, err := m.store.Stat(ctx, key)
	if err != nil {
		return ignoreMissing(err)
	}
	return m.remove(ctx, key, obj.Version)
}

// unlisted drops what the exports record does not list, and tells what it lists
// under a key that is not the table's.
func (m *mirrored) unlisted(ctx context.Context) error {
	listed := map[string]bool{}
	for _, o := range m.export.Objects {
		table, known := dataTable(o.Table)
		if known && o.Key != table.Path(m.project, m.iteration) {
			m.found(o.Table, o.Key, "the exports record lists it under a key that is not the table's; it is left out")
			continue
		}
		listed[o.Table] = true
	}
	for _, t := range schema.DataTables() {
		if m.want(t.Name) && !listed[t.Name] {
			if err := m.drop(ctx, t.Path(m.project, m.iteration)); err != nil {
				return m.failed(t.Name, err)
			}
		}
	}
	return nil
}

// fetch fetches what the cache lacks. It begins again when the warehouse or the
// cache was written meanwhile.
func (m *mirrored) fetch(ctx context.Context) error {
	const tries = 10
	for try := 1; !m.gone; try++ {
		changed, err := m.copy(ctx)
		if errors.Is(err, store.ErrConflict) && try < tries { // another process puts the same into the cache
			changed, err = true, nil
		}
		switch {
		case err != nil:
			return err
		case !changed:
			return nil
		case try == tries:
			return m.failed(schema.Exports.Name, fmt.Errorf("it was exported again each of the %d times that it was read; try again later", tries))
		}
		if err := m.plan(ctx); err != nil {
			return err
		}
	}
	return nil
}

// copy copies each missing object, and the exports record last. It reports
// whether the record has changed, and then has not copied all.
func (m *mirrored) copy(ctx context.Context) (changed bool, err error) {
	for _, o := range m.lacking {
		if changed, err := m.object(ctx, o); err != nil || changed {
			if err != nil {
				err = m.failed(o.Table, err)
			}
			return changed, err
		}
		if !o.unlike {
			m.progress(Fetching{Objects: 1})
		}
	}
	if m.current {
		return false, nil
	}
	if _, err := m.store.Put(ctx, schema.Exports.Path(m.project, m.iteration), store.NewBytesSource(m.record), m.held); err != nil {
		return false, m.failed(schema.Exports.Name, err)
	}
	m.progress(Fetching{Objects: 1, Bytes: int64(len(m.record))})
	return false, nil
}

// object copies one object. If it is not what the exports record says and that
// is still the same, it is copied as it is.
func (m *mirrored) object(ctx context.Context, o lack) (changed bool, err error) {
	var file *copied
	if !o.unlike {
		if file, err = m.download(ctx, o); err != nil {
			return false, err
		}
	}
	if file != nil {
		defer func() { err = errors.Join(err, file.Close()) }()
		if o.is(file) {
			_, err = m.store.Put(ctx, o.Key, file, o.old)
			return false, err
		}
	}
	if changed, err := m.changed(ctx); err != nil || changed {
		return changed, err
	}
	if file == nil && !o.unlike {
		m.found(o.Table, o.Key, "it is missing; export the iteration again")
		return false, m.drop(ctx, o.Key)
	}
	m.found(o.Table, o.Key, "it is not what the exports record of export %s says: another export is running or was interrupted; export the iteration again", m.export.ExportID)
	if file != nil {
		_, err = m.store.Put(ctx, o.Key, file, o.old)
	}
	return false, err
}

// is reports whether a file is the object that is recorded.
func (o ObjectRecord) is(file *copied) bool { return file.size == o.Bytes && file.crc == o.CRC32C }

// isUnlike reports whether the warehouse says that the object is not what the
// exports record says, but what the cache holds already.
func (m *mirrored) isUnlike(ctx context.Context, o lack) (bool, error) {
	if o.old == "" {
		return false, nil
	}
	now, err := m.from.Stat(ctx, o.Key)
	if err != nil {
		return false, ignoreMissing(err)
	}
	if !now.Summed || now.Size == o.Bytes && now.CRC32C == o.CRC32C {
		return false, nil
	}
	held, err := store.Sum(ctx, m.store, store.Object{Key: o.Key})
	return err == nil && held.Size == now.Size && held.CRC32C == now.CRC32C, ignoreMissing(err)
}

// changed reports whether the warehouse has another exports record by now.
func (m *mirrored) changed(ctx context.Context) (bool, error) {
	body, now, err := fetchExport(ctx, m.from, schema.Exports.Path(m.project, m.iteration))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		m.listed = store.Object{}
		return true, nil // planning finds out
	}
	if err != nil {
		return false, err
	}
	m.listed = now
	return !bytes.Equal(body, m.record), nil
}

// download copies an object to a file, nil if there is no object. What is not as
// recorded is believed if the store says the same of it, or it arrives twice so.
func (m *mirrored) download(ctx context.Context, o lack) (*copied, error) {
	const tries = 3
	var before *copied // not open any more
	for try := 1; ; try++ {
		arrived := int64(0)
		file, err := download(ctx, m.from, m.store.Root(), o.Table, o.Key, func(n int) {
			arrived += int64(n)
			m.progress(Fetching{Bytes: int64(n)})
		})
		if err == nil {
			believed, err := o.is(file) || before != nil && before.size == file.size && before.crc == file.crc, error(nil)
			if !believed {
				believed, err = m.says(ctx, o.Key, file)
			}
			if err != nil {
				return nil, errors.Join(err, file.Close())
			}
			if believed {
				return file, nil
			}
			before = file
			if err := file.Close(); err != nil {
				return nil, err
			}
		} else if broken, ok := errors.AsType[*unreadable](err); !ok || ctx.Err() != nil {
			return nil, err
		} else if errors.Is(broken, fs.ErrNotExist) {
			return nil, nil
		}
		if try == tries {
			if err == nil {
				err = errors.New("it arrives broken")
			}
			return nil, fmt.Errorf("reading %s: %w, %d times", m.from.URL(o.Key), err, tries)
		}
		m.progress(Fetching{Bytes: -arrived})
	}
}

// says reports whether the store says that the object is the file; one without
// checksums says nothing else.
func (m *mirrored) says(ctx context.Context, key string, file *copied) (bool, error) {
	now, err := m.from.Stat(ctx, key)
	if err != nil {
		return false, ignoreMissing(err)
	}
	return now.Size == file.size && (!now.Summed || now.CRC32C == file.crc), nil
}

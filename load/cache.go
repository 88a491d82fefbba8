package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// Cache is a folder that holds a copy of what another warehouse has committed.
// It is a warehouse of its own, whose objects may be removed: it can be had again.
type Cache struct {
	store *local.Store
}

// cacheMark is a file that makes a folder a cache. Its last line says of what.
const cacheMark = ".cvexport-cache"

// OpenCache opens a folder as the cache of a warehouse, which of names in a line
// without secrets, and makes the folder, for its owner alone, if there is none.
// It refuses a folder with anything else in it, so that no file is ever removed
// but a copy.
func OpenCache(folder, of string) (*Cache, error) {
	if err := openCache(folder, of); err != nil {
		return nil, fmt.Errorf("the cache in %s: %w", folder, err)
	}
	s, err := local.New(folder)
	if err != nil {
		return nil, err
	}
	return &Cache{store: s}, nil
}

func openCache(folder, of string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	marked, strange := false, ""
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == cacheMark:
			marked = true
		case !strings.HasPrefix(name, local.TempPrefix): // of somebody who is making the same cache
			strange = name
		}
	}
	mark := filepath.Join(folder, cacheMark)
	if marked {
		text, err := os.ReadFile(mark)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if is := lines[len(lines)-1]; is != of {
			return fmt.Errorf("it is of %s, not of %s: use another folder", is, of)
		}
		return nil
	}
	if strange != "" {
		return fmt.Errorf("the folder is no cache, and is not empty (%s): use another folder", strange)
	}
	temp, err := os.CreateTemp(folder, local.TempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(temp, "This folder is a copy of the warehouse below. Nothing is lost if it is removed.\n%s\n", of)
	if err := errors.Join(err, temp.Close()); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return os.Rename(temp.Name(), mark)
}

// Folder is where the cache's tables are.
func (c *Cache) Folder() string { return c.store.Root() }

// Missing counts the iterations that the cache holds, and the objects of the
// wanted tables that it does not hold as their exports records say.
func (c *Cache) Missing(ctx context.Context, want func(table string) bool) (iterations, objects int, err error) {
	for obj, err := range c.store.List(ctx, schema.Exports.Name+"/") {
		if err != nil {
			return 0, 0, err
		}
		project, iteration, ok := parseKey(schema.Exports, obj.Key)
		if !ok {
			continue
		}
		e, _, err := ReadExport(ctx, c.store, project, iteration)
		if errors.Is(err, errDamaged) {
			objects++
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		lacks, err := c.lacks(ctx, e, want)
		if err != nil {
			return 0, 0, err
		}
		iterations++
		objects += len(lacks)
	}
	return iterations, objects, nil
}

// lack is an object that the cache does not hold as an exports record says.
type lack struct {
	ObjectRecord
	old    string // the version of what it holds in its place, empty for nothing
	unlike bool   // the warehouse has just that in its place
}

func (c *Cache) lacks(ctx context.Context, e Export, want func(table string) bool) ([]lack, error) {
	var lacks []lack
	for _, o := range e.Objects {
		if table, known := dataTable(o.Table); !known || !want(o.Table) || o.Key != table.Path(e.Project, e.Iteration) {
			continue
		}
		obj, err := c.store.Stat(ctx, o.Key)
		if errors.Is(err, fs.ErrNotExist) {
			lacks = append(lacks, lack{ObjectRecord: o})
			continue
		}
		if err != nil {
			return nil, err
		}
		ok, err := isRecorded(ctx, c.store, obj, o, e.ExportID)
		if err != nil {
			return nil, err
		}
		if !ok {
			lacks = append(lacks, lack{ObjectRecord: o, old: obj.Version})
		}
	}
	return lacks, nil
}

// objects lists what the cache holds. Exports records come first, so that what is removed
// in this order is hidden before it is gone.
func (c *Cache) objects(ctx context.Context) ([]cachedObject, error) {
	var all []cachedObject
	for _, t := range append([]schema.Table{schema.Exports}, schema.DataTables()...) {
		for obj, err := range c.store.List(ctx, t.Name+"/") {
			if err != nil {
				return nil, err
			}
			if project, iteration, ok := parseKey(t, obj.Key); ok {
				all = append(all, cachedObject{obj, project, iteration})
			}
		}
	}
	return all, nil
}

type cachedObject struct {
	store.Object
	project, iteration schema.ID
}

// remove removes an object that is still the version it was: what another
// process has put since then stays.
func (c *Cache) remove(ctx context.Context, key, version string) error {
	return c.store.Remove(ctx, key, version)
}

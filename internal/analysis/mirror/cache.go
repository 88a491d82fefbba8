// Package mirror keeps a local copy of what a remote warehouse has committed, as far as
// it is asked for, so that DuckDB reads local files.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// Cache is a folder with a copy of what another warehouse has committed. It is a
// warehouse itself. Nothing is lost if it is removed.
type Cache struct {
	// Holds limits [Cache.Update] and [Cache.Missing] to some iterations; nil is all. What
	// the cache has of others stays as it is.
	Holds func(project, iteration schema.ID) bool

	store *local.Store
}

func (c *Cache) holds(project, iteration schema.ID) bool {
	return c.Holds == nil || c.Holds(project, iteration)
}

// markName is the file that makes a folder a cache. Its last line names the warehouse.
const markName = ".cvexport-cache"

const maxMark = 64 << 10 // bytes

// Open opens a folder as the cache of a warehouse, which of names in one line without
// secrets, and creates the folder, for its owner alone, if there is none. It refuses
// a folder that contains anything else, so that nothing but a copy is ever removed.
func Open(folder, of string) (*Cache, error) {
	if err := prepare(folder, of); err != nil {
		return nil, fmt.Errorf("open the cache in %s: %w", folder, err)
	}
	s, err := local.NewPrivate(folder)
	if err != nil {
		return nil, err
	}
	return &Cache{store: s}, nil
}

func prepare(folder, of string) error {
	if err := private.MakeOwn(folder); err != nil {
		return err
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	mark := filepath.Join(folder, markName)
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == markName }) {
		text, err := regular.Read(mark, maxMark)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		if is := lines[len(lines)-1]; is != of {
			return fmt.Errorf("it is of %s, not of %s: use another folder", is, of)
		}
		return nil
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), local.TempPrefix) { // another process is creating the same cache
			return fmt.Errorf("the folder is no cache, and is not empty (%s): use another folder", entry.Name())
		}
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

// Updated is when the whole cache was last compared with the warehouse; zero if it never
// was, which it is not by an update that [Cache.Holds] limits.
func (c *Cache) Updated() time.Time {
	info, err := os.Stat(filepath.Join(c.Folder(), comparedName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// comparedName is the file whose time says when the cache was last compared.
const comparedName = ".cvexport-compared"

// compared notes that it has been compared now.
func (c *Cache) compared() error {
	path := filepath.Join(c.Folder(), comparedName)
	now := time.Now()
	err := os.Chtimes(path, now, now)
	if errors.Is(err, fs.ErrNotExist) {
		err = private.Replace(path, func(io.Writer) error { return nil })
	}
	if err != nil {
		return fmt.Errorf("noting when the cache was compared: %w%s", err, store.FileHint(err, "the cache"))
	}
	return nil
}

// objects lists the cache, by the keys of the exports records. The record comes first,
// so that an iteration removed in this order is hidden before its rows are gone.
func (c *Cache) objects(ctx context.Context) (map[string][]store.Object, error) {
	all := map[string][]store.Object{}
	for _, t := range slices.Backward(schema.Evaluation.All()) {
		for obj, err := range c.store.List(ctx, t.Name+"/") {
			if err != nil {
				return nil, err
			}
			if project, id, ok := t.ParsePath(obj.Key); ok {
				record := schema.Exports.Path(project, id)
				all[record] = append(all[record], obj)
			}
		}
	}
	return all, nil
}

// Missing counts the iterations in the cache, and the objects of the wanted tables that
// it lacks or that differ from their exports records.
func (c *Cache) Missing(ctx context.Context, want func(table string) bool) (iterations, objects int, err error) {
	all, err := c.objects(ctx)
	if err != nil {
		return 0, 0, err
	}
	known := c.readKnown()
	for record, files := range all {
		project, iteration, ok := schema.Exports.ParsePath(record)
		isRecord := func(o store.Object) bool { return o.Key == record }
		if !ok || !c.holds(project, iteration) || !slices.ContainsFunc(files, isRecord) {
			continue
		}
		if known[record].has(record, files, want) {
			iterations++
			continue
		}
		e, _, err := load.ReadExport(ctx, c.store, project, iteration)
		if errors.Is(err, load.ErrDamaged) {
			objects++
			continue
		}
		if err != nil {
			return 0, 0, err
		}
		missing, _, err := c.missing(ctx, e, want)
		if err != nil {
			return 0, 0, err
		}
		iterations++
		objects += len(missing)
	}
	return iterations, objects, nil
}

// missingObject is an object that the cache lacks, or has with other content than the
// exports record says.
type missingObject struct {
	load.ObjectRecord
	version string // of what the cache has instead, empty for nothing
	same    bool   // the warehouse has that other content, too
}

// missing returns the objects of the wanted tables that are missing, and the versions of
// the others, by table.
func (c *Cache) missing(ctx context.Context, e load.Export, want func(table string) bool) (missing []missingObject, have map[string]string, _ error) {
	have = map[string]string{}
	for _, o := range e.Objects {
		if table, known := schema.Evaluation.Find(o.Table); !known || !want(o.Table) || o.Key != table.Path(e.Project, e.Iteration) {
			continue
		}
		obj, err := c.store.Stat(ctx, o.Key)
		if errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, missingObject{ObjectRecord: o})
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		// It is not known to be what was fetched, so every byte counts.
		sum, err := store.Sum(ctx, c.store, obj)
		if store.IgnoreMissing(err) != nil {
			return nil, nil, err
		}
		if err != nil || sum.Size != o.Bytes || sum.CRC32C != o.CRC32C {
			missing = append(missing, missingObject{ObjectRecord: o, version: obj.Version})
			continue
		}
		have[o.Table] = obj.Version
	}
	return missing, have, nil
}

// Package cache keeps the rows of a warehouse in one DuckDB database file, in native
// tables, so that a question costs what it reads and not what the archive holds. The
// tables are brought up to date with the files of the warehouse before each question,
// by a listing, and hold no row of any other file. Nothing is lost if the file is removed.
package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Cache is the database file for the warehouse in a folder.
type Cache struct {
	File   string // which need not exist
	Folder string // of the warehouse

	// Address is the warehouse's, for messages.
	Address string

	Temp   string // a folder for what is not kept; empty: the system's
	Memory int    // that DuckDB may use to refresh it, in MiB; 0 for a default

	MaxListed int // files of a table; 0 for [store.MaxListed]

	beforeCopy func() // for tests; nil otherwise

	// Progress reports how many files have been read of how many, and their bytes. It may
	// be nil.
	Progress func(Progress)
}

// Progress is how far a refresh has come.
type Progress struct {
	Objects, AllObjects int
	Bytes, AllBytes     int64
}

// Attached is a cache in a database.
type Attached struct {
	// Findings are files that are damaged. Their iterations are left out.
	Findings []load.Finding

	tables  []schema.Table
	scope   Scope
	inPlace map[string][]string // files too large to be copied, by table
}

// Name is what the cache's database is called where it is attached.
const Name = "cvexport_cache"

// large is the size from which a file is read in place. What DuckDB takes to open it does
// not count beside its rows, and a copy would take as much disk again.
const large = 16 << 20

// Attach brings the wanted tables of the cache up to date, as far as the scope goes, and
// attaches it to a database, for reading only. Several processes may do so at once: one
// refreshes, and the others wait for it, or refresh a copy for themselves if that takes
// long. What is attached stays as it is, whatever others do.
func (c *Cache) Attach(ctx context.Context, db *sql.DB, wanted func(table string) bool, scope Scope) (*Attached, error) {
	a := &Attached{scope: scope, inPlace: map[string][]string{}}
	for _, t := range slices.Backward(schema.Tables()) { // the record first: it is written last
		if wanted(t.Name) {
			a.tables = append(a.tables, t)
		}
	}
	if len(a.tables) == 0 {
		return a, nil
	}
	now, err := list(ctx, c.Folder, a.tables, scope, cmp.Or(c.MaxListed, store.MaxListed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWarehouse, err)
	}
	seen, err := c.look(ctx, db, a, now, c.File)
	if err != nil {
		return nil, err
	}
	if seen.attached && seen.none() {
		a.use(c.Folder, seen.difference)
		return a, nil
	}
	if err := c.refresh(ctx, db, a, now, seen); err != nil {
		return nil, err
	}
	return a, nil
}

// seen is what the cache's file was when it was looked at.
type seen struct {
	info     fs.FileInfo // nil if there was none
	attached bool        // it can be used
	difference
}

// look attaches a file, if it is a cache that can be used, and compares it with a listing.
func (c *Cache) look(ctx context.Context, db *sql.DB, a *Attached, now listing, file string) (s seen, err error) {
	s.difference = difference{todo: maps.Clone(now.units), inPlace: map[unit]bool{}}
	if s.info, err = os.Lstat(file); err != nil { // which attach finds out, too
		s.info = nil
	}
	if s.attached, err = c.attach(ctx, db, file); err != nil || !s.attached {
		return s, err
	}
	d, err := compare(ctx, db, a, now)
	if err != nil { // the file is damaged
		s.attached = false
		return s, errors.Join(ctx.Err(), detach(ctx, db))
	}
	s.difference = d
	return s, nil
}

// isStill reports whether the file is the one that was looked at, or there still is none.
func (s seen) isStill(file string) bool {
	info, err := os.Lstat(file)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist) && s.info == nil
	}
	return s.is(info)
}

func (s seen) is(info fs.FileInfo) bool {
	return s.info != nil && os.SameFile(info, s.info) && info.ModTime().Equal(s.info.ModTime()) && info.Size() == s.info.Size()
}

// Rows returns the query for the rows of a table, and false if it is not in the cache.
func (a *Attached) Rows(t schema.Table) (string, bool) {
	if !slices.ContainsFunc(a.tables, func(in schema.Table) bool { return in.Name == t.Name }) {
		return "", false
	}
	text := fmt.Sprintf("SELECT * FROM %s.%s WHERE %s", Name, t.Name, a.scope.Where())
	if files := a.inPlace[t.Name]; len(files) > 0 {
		text += "\nUNION ALL BY NAME\n" + t.ReadNative("["+quoteAll(files)+"]")
	}
	return text, true
}

// use notes the files that are read in place.
func (a *Attached) use(root string, d difference) {
	for _, u := range slices.SortedFunc(maps.Keys(d.inPlace), compareUnits) {
		a.inPlace[u.table] = append(a.inPlace[u.table], u.file(root))
	}
}

// attach attaches a file, if it is a cache of the warehouse, of this version of cvreport
// and of DuckDB. One that is not, or that cannot be read, is as none: it is replaced.
// One that somebody else could have written is an error.
func (c *Cache) attach(ctx context.Context, db *sql.DB, file string) (bool, error) {
	if err := checkOwn(file); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("%s: %w: remove it, or use another --cache", file, err)
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("ATTACH %s AS %s (READ_ONLY)", rows.Quote(file), Name)); err != nil {
		return false, ctx.Err()
	}
	same := false
	err := db.QueryRowContext(ctx, "SELECT identity = "+c.identity()+" FROM "+Name+".about").Scan(&same)
	if err == nil && same {
		return true, nil
	}
	return false, errors.Join(ctx.Err(), detach(ctx, db))
}

func detach(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(context.WithoutCancel(ctx), "DETACH "+Name)
	return err
}

// identity is what a cache must be of to be used, in SQL: this format, with these columns,
// by this DuckDB, of this warehouse.
func (c *Cache) identity() string {
	columns := sha256.New()
	for _, t := range schema.Tables() {
		fmt.Fprintf(columns, "%s(%s)\n", t.Name, t.NativeColumns())
	}
	return fmt.Sprintf("(%s || version() || %s)", rows.Quote("cvexport's cache 1 of "+hex.EncodeToString(columns.Sum(nil)[:8])+" by DuckDB "), rows.Quote(" of "+c.Folder))
}

// difference is what a listing has and the cache has not, and the other way round.
type difference struct {
	todo    map[unit]state // to read
	gone    map[unit]bool  // to remove: another version of a file, or one that is not there any more
	inPlace map[unit]bool  // known to be readable in place
}

func (d difference) none() bool { return len(d.todo) == 0 && len(d.gone) == 0 }

// compare compares the attached cache with a listing.
func compare(ctx context.Context, db *sql.DB, a *Attached, now listing) (difference, error) {
	d := difference{todo: maps.Clone(now.units), gone: map[unit]bool{}, inPlace: map[unit]bool{}}
	var differ []string // tables of which each unit is looked at
	for _, t := range a.tables {
		same := false
		if digest := now.digests[t.Name]; digest != "" && a.scope.isAll() {
			query := fmt.Sprintf("SELECT count(*) > 0 FROM %s.listings WHERE table_name = %s AND digest = %s", Name, rows.Quote(t.Name), rows.Quote(digest))
			if err := db.QueryRowContext(ctx, query).Scan(&same); err != nil {
				return d, err
			}
		}
		if same {
			maps.DeleteFunc(d.todo, func(u unit, _ state) bool { return u.table == t.Name })
		} else {
			differ = append(differ, t.Name)
		}
	}
	of := "in_place"
	if len(differ) > 0 {
		of = "(in_place OR table_name IN (" + quoteAll(differ) + "))"
	}
	var u unit
	var version string
	var inPlace bool
	return d, rows.Each(ctx, db, fmt.Sprintf("SELECT table_name, project_id, iteration_id, version, in_place FROM %s.units WHERE %s AND %s", Name, of, a.scope.Where()),
		[]any{&u.table, &u.project, &u.iteration, &version, &inPlace}, func() {
			if !slices.ContainsFunc(a.tables, func(t schema.Table) bool { return t.Name == u.table }) {
				return
			}
			if s, found := now.units[u]; !found || version == "" || s.version != version {
				d.gone[u] = true
				return
			}
			delete(d.todo, u)
			if inPlace {
				d.inPlace[u] = true
			}
		})
}

// refresh makes a newer copy of the file, puts it into its place, and attaches it. The
// file is never written where it is, as DuckDB lets nobody read a file that it writes.
func (c *Cache) refresh(ctx context.Context, db *sql.DB, a *Attached, now listing, old seen) error {
	folder := filepath.Dir(c.File)
	if err := private.MakeOwn(folder); err != nil {
		return err
	}
	lock, locked, err := c.lock(ctx, len(old.todo))
	if err != nil {
		return err
	}
	if locked {
		defer func() { _ = lock.Unlock() }()
		removeOld(folder, c.tempPrefix())
	} else {
		folder = c.Temp
	}
	if !old.isStill(c.File) { // another process has refreshed it meanwhile
		if err := old.detach(ctx, db); err != nil {
			return err
		}
		if old, err = c.look(ctx, db, a, now, c.File); err != nil {
			return err
		}
		if old.attached && old.none() {
			a.use(c.Folder, old.difference)
			return nil
		}
	}
	if err := old.detach(ctx, db); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(folder, c.tempPrefix()+"*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	next := filepath.Join(temp, "next.duckdb")
	if c.beforeCopy != nil {
		c.beforeCopy()
	}
	if old.attached {
		copied, err := copyFile(c.File, next)
		if err != nil {
			return err
		}
		// What is written depends on what has been copied, whoever has replaced the file, or
		// removed the lock, since it was looked at.
		if !old.is(copied) {
			if old, err = c.look(ctx, db, a, now, next); err != nil {
				return err
			}
			if err := old.detach(ctx, db); err != nil {
				return err
			}
			if !old.attached {
				if err := os.Remove(next); err != nil {
					return err
				}
			}
		}
	}
	w := &writer{Cache: c, file: next, attached: a, now: now, difference: old.difference}
	if err := w.write(ctx); err != nil {
		return err
	}
	a.Findings = w.findings
	file := next
	if locked && os.Rename(next, c.File) == nil {
		file = c.File
	} // else it is in use, on a system that replaces no such file, and stays in its place
	attached, err := c.attach(ctx, db, file)
	if err == nil && !attached {
		err = errors.New("the cache cannot be read back")
	}
	if err != nil {
		return err
	}
	a.use(c.Folder, w.difference)
	return nil
}

func (s seen) detach(ctx context.Context, db *sql.DB) error {
	if !s.attached {
		return nil
	}
	return detach(ctx, db)
}

func compareUnits(a, b unit) int {
	return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.project, b.project), cmp.Compare(a.iteration, b.iteration))
}

func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for n, s := range all {
		quoted[n] = rows.Quote(s)
	}
	return strings.Join(quoted, ", ")
}

// IsDamage reports whether an error of a question is that a cache file is damaged. It is
// found out where that part of the file is read.
func IsDamage(err error) bool {
	e, ok := errors.AsType[*duckdb.Error](err)
	if !ok || e.Type == duckdb.ErrorTypeInvalidInput { // which SQL can say itself
		return false
	}
	return strings.Contains(e.Msg, "Corrupt database file") || strings.Contains(e.Msg, "Serialization Error")
}

// ErrWarehouse is that a file of the warehouse cannot be read, whatever becomes of the
// cache.
var ErrWarehouse = errors.New("reading the warehouse")

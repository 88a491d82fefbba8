package cache

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// chunk is how many files are read by one statement: with more, DuckDB takes more memory.
const chunk = 200

// writer brings a cache that nobody else uses up to date.
type writer struct {
	*Cache
	file     string
	attached *Attached
	now      listing
	difference
	db *sql.DB

	replaced int           // how often a file was replaced while it was read
	dense    map[unit]bool // has far more rows than such a file of cvexport's, and would grow when it is copied
	damaged  map[iteration]bool
	findings []load.Finding
	progress Progress

	committed Progress // of what is not to do any more
}

type iteration struct{ project, id string }

func (u unit) of() iteration { return iteration{u.project, u.iteration} }

// defaultMemory is what DuckDB may use, in MiB: many times what rows of small files take.
const defaultMemory = 1024

// A row of any table has an id or a probability that hardly compresses: a file with more
// rows than that is dense.
const (
	fewRows     = 1000
	bytesPerRow = 4
)

// errDamaged is that a file is damaged which had not been known to be.
var errDamaged = errors.New("a file is damaged")

func (w *writer) write(ctx context.Context) (err error) {
	if w.db, err = sql.Open("duckdb", ""); err != nil {
		return fmt.Errorf("starting duckdb: %w", err)
	}
	defer func() { err = errors.Join(err, w.db.Close()) }()
	w.db.SetMaxOpenConns(1)
	w.damaged, w.dense = map[iteration]bool{}, map[unit]bool{}
	if err := w.run(ctx,
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
		"SET enable_external_file_cache = false", // each file is read once
		"SET threads = 1",                        // small files: more threads would need more memory and processor time
		fmt.Sprintf("SET memory_limit = '%dMiB'", cmp.Or(w.Memory, defaultMemory)),
		fmt.Sprintf("SET temp_directory = %s", rows.Quote(filepath.Dir(w.file))),
		fmt.Sprintf("ATTACH %s AS %s", rows.Quote(w.file), Name),
		"USE "+Name,
	); err != nil {
		return err
	}
	if err := w.check(ctx); err != nil {
		return err
	}
	for { // once more for each part with a damaged file
		err := w.fill(ctx)
		if err == nil {
			break
		}
		_, _ = w.db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // there may be none to roll back
		if !errors.Is(err, errDamaged) {
			return err
		}
	}
	if err := w.run(ctx, "CHECKPOINT "+Name, "USE memory", "DETACH "+Name); err != nil {
		return err
	}
	return os.Chmod(w.file, 0o600)
}

// fill makes all changes that are left. The error is errDamaged if it has found a file
// that is damaged.
func (w *writer) fill(ctx context.Context) error {
	w.progress = w.committed
	maps.DeleteFunc(w.todo, func(u unit, _ state) bool { return w.damaged[u.of()] })
	for _, s := range w.todo {
		w.progress.AllObjects, w.progress.AllBytes = w.progress.AllObjects+1, w.progress.AllBytes+s.size
	}
	if err := errors.Join(w.run(ctx, "BEGIN"), w.run(ctx, w.tables()...), w.remove(ctx)); err != nil {
		return err
	}
	for n, t := range w.attached.tables {
		if err := w.readTable(ctx, t); err != nil {
			return err
		}
		if err := w.settle(ctx, w.attached.tables[:n+1]); err != nil {
			return err
		}
	}
	if err := w.noteListings(ctx); err != nil {
		return err
	}
	return w.run(ctx, "COMMIT")
}

// settle commits the changes of the tables that have been read, if they are of many
// files, and would take memory until the end.
func (w *writer) settle(ctx context.Context, read []schema.Table) error {
	var done []unit
	for u := range w.todo {
		if slices.ContainsFunc(read, func(t schema.Table) bool { return t.Name == u.table }) {
			done = append(done, u)
		}
	}
	if len(done) <= chunk {
		return nil
	}
	if err := w.run(ctx, "COMMIT", "CHECKPOINT "+Name, "BEGIN"); err != nil {
		return err
	}
	for _, u := range done {
		delete(w.todo, u)
	}
	clear(w.gone) // all have been removed
	w.committed = Progress{w.progress.Objects, w.progress.Objects, w.progress.Bytes, w.progress.Bytes}
	return nil
}

func (w *writer) run(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := w.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("writing the cache: %w%s", err, store.FileHint(err, "the cache"))
		}
	}
	return nil
}

// tables returns the statements that create what the cache has not yet.
func (w *writer) tables() []string {
	statements := []string{
		"CREATE TABLE IF NOT EXISTS units(table_name VARCHAR, project_id VARCHAR, iteration_id VARCHAR, version VARCHAR, in_place BOOLEAN)",
		"CREATE TABLE IF NOT EXISTS listings(table_name VARCHAR, digest VARCHAR)",
		"CREATE TABLE IF NOT EXISTS about(identity VARCHAR)",
		fmt.Sprintf("INSERT INTO about SELECT %s WHERE NOT EXISTS (FROM about)", w.identity()),
	}
	for _, t := range schema.Tables() {
		statements = append(statements, fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s(%s)", t.Name, t.NativeColumns()))
	}
	return statements
}

// remove removes the rows of files that have changed or are gone, and of iterations that
// have a damaged file in any table.
func (w *writer) remove(ctx context.Context) error {
	for _, t := range schema.Tables() {
		of := slices.Collect(maps.Keys(w.damaged))
		for u := range w.gone {
			if u.table == t.Name {
				of = append(of, u.of())
			}
		}
		if err := w.drop(ctx, t.Name, of); err != nil {
			return err
		}
	}
	maps.DeleteFunc(w.inPlace, func(u unit, _ bool) bool { return w.damaged[u.of()] })
	return nil
}

// drop removes iterations from a table.
func (w *writer) drop(ctx context.Context, table string, of []iteration) error {
	for part := range slices.Chunk(of, chunk) {
		var ids []string
		for _, i := range part {
			ids = append(ids, fmt.Sprintf("(%s, %s)", rows.Quote(i.project), rows.Quote(i.id)))
		}
		in := "(project_id, iteration_id) IN (" + strings.Join(ids, ", ") + ")"
		if err := w.run(ctx, "DELETE FROM "+table+" WHERE "+in, fmt.Sprintf("DELETE FROM units WHERE table_name = %s AND %s", rows.Quote(table), in)); err != nil {
			return err
		}
	}
	if len(of) > 0 {
		return w.run(ctx, "DELETE FROM listings WHERE table_name = "+rows.Quote(table))
	}
	return nil
}

// noteListings notes the digests of the tables that are now as they were listed.
func (w *writer) noteListings(ctx context.Context) error {
	for _, t := range w.attached.tables {
		if err := w.run(ctx, "DELETE FROM listings WHERE table_name = "+rows.Quote(t.Name)); err != nil {
			return err
		}
		digest := w.now.digests[t.Name]
		if digest == "" || !w.attached.scope.isAll() || len(w.damaged) > 0 {
			continue
		}
		if err := w.run(ctx, fmt.Sprintf("INSERT INTO listings VALUES (%s, %s)", rows.Quote(t.Name), rows.Quote(digest))); err != nil {
			return err
		}
	}
	return nil
}

// readTable reads the files of a table that are to do.
func (w *writer) readTable(ctx context.Context, t schema.Table) error {
	var small, big []unit
	for u, s := range w.todo {
		switch {
		case u.table != t.Name:
		case s.size >= large || w.dense[u]:
			big = append(big, u)
		default:
			small = append(small, u)
		}
	}
	slices.SortFunc(small, compareUnits)
	for part := range slices.Chunk(small, chunk) {
		if err := w.insert(ctx, t, part); err != nil {
			return w.blame(ctx, t, part, err)
		}
		w.advance(part...)
	}
	for _, u := range big {
		if err := w.checkInPlace(ctx, t, u); err != nil {
			return w.blame(ctx, t, []unit{u}, err)
		}
		w.inPlace[u] = true
		w.advance(u)
	}
	return nil
}

func (w *writer) advance(units ...unit) {
	for _, u := range units {
		w.progress.Objects, w.progress.Bytes = w.progress.Objects+1, w.progress.Bytes+w.todo[u].size
	}
	if w.Progress != nil {
		w.Progress(w.progress)
	}
}

// insert inserts the rows of files.
func (w *writer) insert(ctx context.Context, t schema.Table, units []unit) error {
	var files []string
	for _, u := range units {
		files = append(files, u.file(w.Folder))
	}
	return w.run(ctx, fmt.Sprintf("INSERT INTO %s BY NAME %s", t.Name, t.ReadNative("["+quoteAll(files)+"]")), w.noteUnits(units, false))
}

func (w *writer) noteUnits(units []unit, inPlace bool) string {
	var values []string
	for _, u := range units {
		values = append(values, fmt.Sprintf("(%s, %s, %s, %s, %t)", rows.Quote(u.table), rows.Quote(u.project), rows.Quote(u.iteration), rows.Quote(w.todo[u].version), inPlace))
	}
	return "INSERT INTO units VALUES " + strings.Join(values, ", ")
}

// checkInPlace notes a file that is read in place, if it can be.
func (w *writer) checkInPlace(ctx context.Context, t schema.Table, u unit) error {
	return w.run(ctx, "CREATE OR REPLACE TEMP VIEW large AS "+t.ReadNative("["+rows.Quote(u.file(w.Folder))+"]"), w.noteUnits([]unit{u}, true))
}

// blame finds out which of some files that could not be read are damaged, or replaced or
// gone by now, which is errDamaged. If none is, it returns the error of reading them.
func (w *writer) blame(ctx context.Context, t schema.Table, units []unit, err error) error {
	_, _ = w.db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
	found := false
	for _, u := range units {
		if w.isReplaced(u) {
			found = true
			delete(w.now.digests, t.Name)
			continue
		}
		var hash any
		readErr := w.db.QueryRowContext(ctx, "SELECT max(hash(r)) FROM ("+t.ReadNative("["+rows.Quote(u.file(w.Folder))+"]")+") AS r").Scan(&hash)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if readErr == nil {
			continue
		}
		found = true
		if _, statErr := os.Stat(u.file(w.Folder)); isMissing(statErr) {
			delete(w.todo, u)
			delete(w.now.digests, t.Name)
			continue
		}
		reason, _, _ := strings.Cut(readErr.Error(), "\n") // the other lines are the statement
		w.find(u, reason)
	}
	if found {
		return errDamaged
	}
	return err
}

// isReplaced reports whether a file is another one than was listed, and lists it again.
// DuckDB opens a file more than once, for its footer and for its rows, and cannot read it
// if an export replaces it in between.
func (w *writer) isReplaced(u unit) bool {
	const maxTimes = 20 // an export replaces a file once
	info, err := os.Stat(u.file(w.Folder))
	old := w.todo[u]
	if err != nil || info.Size() == old.size && info.ModTime().Equal(old.modified) || w.replaced == maxTimes {
		return false
	}
	w.replaced++
	w.todo[u] = state{size: info.Size(), modified: info.ModTime()} // without a version: it is read again by the next question
	return true
}

// find notes that a file is damaged.
func (w *writer) find(u unit, reason string) {
	w.damaged[u.of()] = true
	f := load.Finding{Table: u.table, Key: u.key(), Problem: fmt.Sprintf(
		"it is damaged, so the iteration is left out; to mend it, run cvexport export --project %s --iteration %s --force --warehouse %q (%s)", u.project, u.iteration, w.Address, reason)}
	project, projectErr := schema.ParseID(u.project)
	id, idErr := schema.ParseID(u.iteration)
	if projectErr == nil && idErr == nil {
		f.Project, f.Iteration = project, id
	}
	w.findings = append(w.findings, f)
}

// check finds what is no file, and files whose footer DuckDB must not see: it believes one
// of some megabytes that takes gigabytes.
func (w *writer) check(ctx context.Context) error {
	for _, u := range slices.SortedFunc(maps.Keys(w.todo), compareUnits) {
		err := w.todo[u].problem
		if err == nil {
			w.dense[u], err = checkFooter(u.file(w.Folder))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("%w: %w", ErrWarehouse, err)
		}
		if err != nil && (w.todo[u].problem != nil || !isMissing(err)) { // what is gone is found out when it is read
			w.find(u, err.Error())
		}
	}
	return nil
}

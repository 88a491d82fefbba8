package readers

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// stepped calls a function after each object that is put.
type stepped struct {
	store.Store
	after func(put int)
	put   int
}

func (s *stepped) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	obj, err := s.Store.Put(ctx, key, src, old, others...)
	if err == nil {
		s.put++
		s.after(s.put)
	}
	return obj, err
}

// seen says which export a query's rows for an iteration are from: none, the old one, the
// new one, or both.
func seen(t *testing.T, db *sql.DB, query, iteration, old string) string {
	t.Helper()
	var older, newer bool
	query = fmt.Sprintf("SELECT count(*) FILTER (export_id = '%s') > 0, count(*) FILTER (export_id <> '%[1]s') > 0 FROM (%s) WHERE iteration_id = '%s'", old, query, iteration)
	if err := db.QueryRowContext(t.Context(), query).Scan(&older, &newer); err != nil {
		t.Fatalf("%v in: %s", err, query)
	}
	switch {
	case older && newer:
		return "both"
	case older:
		return "old"
	case newer:
		return "new"
	}
	return "none"
}

// wanted are the tables and views that are asked for here.
func wanted(name string) bool {
	return strings.HasPrefix(name, "current_") || name == "export_health" || slices.ContainsFunc(schema.Tables(), func(t schema.Table) bool { return t.Name == name })
}

// openCached opens a warehouse as cvreport query does.
func openCached(t *testing.T, root, folder string) *sql.DB {
	t.Helper()
	source := query.Source{Warehouse: root, Cache: folder, Temp: t.TempDir(), Warn: func(message any) { t.Errorf("cvreport query warns: %v", message) }}
	db, err := source.Open(t.Context(), wanted)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// TestSteps checks what docs/how-to/reading.md says of queries while an export runs, after each
// object that it puts: for an iteration that is new, and for one that is replaced.
func TestSteps(t *testing.T) {
	t.Parallel()
	root, folder := t.TempDir(), t.TempDir()
	warehouse := openStore(t, root)
	s := serve(t, simulated.Config{Kind: simulated.Detection, Iterations: 2, Images: 10})
	if err := s.export(t, warehouse, 0, 1); err != nil { // each table has a file
		t.Fatal(err)
	}
	iteration := s.Projects()[0].Iterations[0].ID.String()
	plain := openDuckDB(t)
	glob, committed := snippet(t, "DuckDB", "sql"), snippet(t, "What a query sees while an export runs", "sql")
	tables := schema.Tables()

	for _, replaced := range []bool{false, true} {
		old, before := "", "none"
		if replaced {
			of := fmt.Sprintf("SELECT export_id FROM (%s) WHERE iteration_id = '%s'", inRoot(glob, root, "exports"), iteration)
			if err := plain.QueryRowContext(t.Context(), of).Scan(&old); err != nil {
				t.Fatal(err)
			}
			before = "old"
		}
		earlier := openCached(t, root, folder)
		check := func(put int) {
			now := openCached(t, root, folder)
			defer now.Close()
			dbs := map[string]*sql.DB{"cvreport query": now}
			if put%3 == 0 { // it takes long
				files, err := query.Open(t.Context(), root, query.All, wanted)
				if err != nil {
					t.Fatal(err)
				}
				defer files.Close()
				dbs["the script"] = files
			}
			done := put == len(tables)
			for place, table := range tables {
				asPut, inJoin, inView := before, before, before
				if place < put {
					asPut, inJoin, inView = "new", "none", "new" // no record of it yet
				}
				if done {
					inJoin = "new"
				} else if !replaced {
					inView = "none"
				}
				expect := func(who string, db *sql.DB, query, want string) {
					t.Helper()
					if got := seen(t, db, query, iteration, old); got != want {
						t.Errorf("replaced %v, %d objects put: %s of %s sees %s, want %s", replaced, put, who, table.Name, got, want)
					}
				}
				expect("a plain glob", plain, inRoot(glob, root, table.Name), asPut)
				expect("the join", plain, inRoot(committed, root, table.Name), inJoin)
				expect("cvreport query", now, "FROM "+table.Name, asPut)
				expect("cvreport query from before", earlier, "FROM "+table.Name, before)
				if view := "current_" + table.Name; slices.ContainsFunc(schema.Views(), func(v schema.View) bool { return v.Name == view }) {
					for who, db := range dbs {
						expect(who+"'s view", db, "FROM "+view, inView)
					}
				}
			}
			unhealthy := 0
			if replaced && !done {
				unhealthy = put
			}
			for who, db := range dbs {
				var got int
				if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM export_health WHERE problem = 'other_export'").Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != unhealthy {
					t.Errorf("replaced %v, %d objects put: export_health of %s has %d tables, want %d", replaced, put, who, got, unhealthy)
				}
			}
		}
		check(0)
		steps := &stepped{Store: warehouse, after: check}
		if err := s.export(t, steps, 0, 0); err != nil {
			t.Fatal(err)
		}
		if steps.put != len(tables) {
			t.Fatalf("%d objects were put", steps.put)
		}
		earlier.Close()
	}
}

// TestReplacedMeanwhile replaces an iteration again and again, with all of its images and
// with some, while queries run one after the other.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	root, folder := t.TempDir(), t.TempDir()
	warehouse := openStore(t, root)
	s := serve(t, simulated.Config{Kind: simulated.Detection, Iterations: 2, Images: 300})
	for i := range 2 {
		if err := s.export(t, warehouse, 0, i); err != nil {
			t.Fatal(err)
		}
	}
	project := s.Projects()[0]
	var enough atomic.Bool
	replacing := make(chan error, 1)
	go func() {
		var err error
		for n := 0; err == nil && !enough.Load(); n++ {
			var tags []string
			if n%2 == 0 {
				tags = []string{project.Tags[0].Name}
			}
			err = s.export(t, warehouse, 0, 0, tags...)
		}
		replacing <- err
	}()

	// Each value of the predictions is read.
	const of = `SELECT any_value(export_id), count(*), count(DISTINCT export_id), count(DISTINCT (image_id, prediction_index)),
		count(box_left + box_top + box_width + box_height + probability + length(tag_id || tag_name)) FROM (%s) WHERE iteration_id = '%s'`
	rows := map[string]int{} // by export
	look := func(who string, db *sql.DB, from string) (export string, err error) {
		var found, exports, distinct, values int
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf(of, from, project.Iterations[0].ID)).Scan(&export, &found, &exports, &distinct, &values); err != nil {
			return "", err
		}
		if known, ok := rows[export]; exports != 1 || distinct != found || values != found || ok && known != found {
			t.Errorf("%s: %d rows of %d exports, %d distinct, %d values; before, the export had %d", who, found, exports, distinct, values, known)
		}
		rows[export] = found
		return export, nil
	}

	// DuckDB opens a file more than once: for the footer, and for the rows. A query may fail
	// if the file is replaced in between.
	plain := openDuckDB(t)
	glob := inRoot(snippet(t, "DuckDB", "sql"), root, "predictions")
	failed := 0
	for len(rows) < 10 && !t.Failed() && len(replacing) == 0 {
		if _, err := look("a plain glob", plain, glob); err != nil {
			failed++
			if !isTorn.MatchString(err.Error()) {
				t.Errorf("a plain glob: %v", err)
			}
		}
	}
	t.Logf("%d queries over plain globs failed, because their file was replaced", failed)

	// cvreport query tries again. It lists and reads the record first.
	clear(rows)
	for len(rows) < 5 && !t.Failed() && len(replacing) == 0 {
		db := openCached(t, root, folder)
		export, err := look("cvreport query", db, "FROM predictions")
		if err != nil {
			t.Errorf("cvreport query: %v", err)
		}
		var record string
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT export_id FROM exports WHERE iteration_id = '%s'", project.Iterations[0].ID)).Scan(&record); err != nil {
			t.Errorf("cvreport query: %v", err)
		}
		if export < record { // ids grow with time
			t.Errorf("cvreport query has the record of %s, and rows of %s, which is older", record, export)
		}
		db.Close()
	}
	enough.Store(true)
	if err := <-replacing; err != nil {
		t.Fatal(err)
	}
}

// isTorn matches what DuckDB says of a file if it has the footer of another. A file that is
// not there is none of it.
var isTorn = regexp.MustCompile(`^(Invalid Error|Invalid Input Error|Out of Memory Error): |^IO Error: .*[Zz][Ss][Tt][Dd]|Can't find next power of 2`)

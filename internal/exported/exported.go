// Package exported makes warehouses from the simulated service, for tests.
package exported

import (
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// Warehouse exports every completed iteration of a simulated service into a temporary
// folder.
func Warehouse(t testing.TB, c simulated.Config) (root string) {
	t.Helper()
	service, err := simulated.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	client, err := extract.NewClient(extract.Options{Endpoint: server.URL, Key: "simulated", Rate: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	root = t.TempDir()
	warehouse, err := open.Open(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer warehouse.Close()
	for _, p := range service.Projects() {
		for _, i := range p.Iterations {
			if i.Status != simulated.Completed {
				continue
			}
			_, err := jobs.Export(t.Context(), client, warehouse, jobs.Request{
				Project: p.ID, Iteration: i.ID.String(), Concurrency: 4,
				ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, SpoolDir: t.TempDir(), Version: "test",
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// Open opens a warehouse with its tables, views and functions until the test ends.
func Open(t testing.TB, root string) *sql.DB { return openDuckDB(t, root, query.All) }

// OpenCached opens a part of a warehouse as cvreport does, with the cache in a folder. It
// returns what there is to warn of.
func OpenCached(t testing.TB, root, folder string, scope cache.Scope) (db *sql.DB, warnings []string) {
	t.Helper()
	source := query.Source{Warehouse: root, Cache: folder, Scope: scope, Temp: t.TempDir(), Warn: func(message any) { warnings = append(warnings, fmt.Sprint(message)) }}
	db, err := source.Open(t.Context(), query.All)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db, warnings
}

// OpenViews opens a warehouse with its tables and views until the test ends.
func OpenViews(t testing.TB, root string) *sql.DB { return openDuckDB(t, root, query.NoFunction) }

func openDuckDB(t testing.TB, root string, functions func(string) bool) *sql.DB {
	t.Helper()
	db, err := query.Open(t.Context(), root, query.All, functions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// InMemory copies the tables into memory, into a schema called data, and lets the
// views and functions read these instead of the files.
func InMemory(t testing.TB, db *sql.DB) {
	t.Helper()
	execute(t, db, "CREATE SCHEMA data")
	for _, table := range schema.Tables() {
		execute(t, db, fmt.Sprintf("CREATE TABLE data.%[1]s AS FROM %[1]s; CREATE OR REPLACE VIEW %[1]s AS FROM data.%[1]s", table.Name))
	}
}

// Rewrite replaces columns in every file of a table. A column is given as SQL,
// "expression AS column".
func Rewrite(t testing.TB, root, table string, columns ...string) {
	t.Helper()
	rewrite(t, root, table, "* EXCLUDE (project_id, iteration_id) REPLACE ("+strings.Join(columns, ", ")+")", "true")
}

// Drop removes a column of a table, as if its files were of an earlier version.
func Drop(t testing.TB, root, table, column string) {
	t.Helper()
	rewrite(t, root, table, "* EXCLUDE (project_id, iteration_id, "+column+")", "true")
}

// Empty removes the rows of a table.
func Empty(t testing.TB, root, table string) {
	t.Helper()
	rewrite(t, root, table, "* EXCLUDE (project_id, iteration_id)", "false")
}

// Keep removes the rows of a table for which a condition in SQL, which may use
// project_id and iteration_id, does not hold.
func Keep(t testing.TB, root, table, condition string) {
	t.Helper()
	rewrite(t, root, table, "* EXCLUDE (project_id, iteration_id)", condition)
}

func rewrite(t testing.TB, root, table, columns, where string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, table, "*", "*", "data.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("table %s has %d files: %v", table, len(files), err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, file := range files {
		name := strings.ReplaceAll(file, "'", "''")
		execute(t, db, fmt.Sprintf("COPY (SELECT %s FROM read_parquet('%s', hive_partitioning = true, hive_types_autocast = false) WHERE %s) TO '%[2]s.new' (FORMAT parquet)", columns, name, where))
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

func execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

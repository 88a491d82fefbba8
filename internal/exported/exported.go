// Package exported creates warehouses from the simulated service, for tests.
package exported

import (
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// Warehouse exports every completed iteration of a simulated service into a new
// folder of the test.
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

// Open opens a warehouse with its tables, views and functions.
func Open(t testing.TB, root string) *sql.DB {
	t.Helper()
	db := OpenViews(t, root)
	for _, s := range schema.Macros() {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// OpenViews opens a warehouse with its tables and views.
func OpenViews(t testing.TB, root string) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: filepath.ToSlash(root)}
	for _, table := range schema.Tables() {
		if _, err := os.Stat(filepath.Join(root, table.Name)); os.IsNotExist(err) {
			script.Empty = append(script.Empty, table.Name)
		}
	}
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 {
			script.Without = append(script.Without, v.Name)
		}
	}
	for _, s := range []string{"SET TimeZone = 'UTC'", script.String()} {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

// InMemory copies the tables below a warehouse's views and functions from its files into
// memory, in a schema called data.
func InMemory(t testing.TB, db *sql.DB) {
	t.Helper()
	statements := []string{"CREATE SCHEMA data"}
	for _, table := range schema.Tables() {
		statements = append(statements, fmt.Sprintf("CREATE TABLE data.%[1]s AS FROM %[1]s; CREATE OR REPLACE VIEW %[1]s AS FROM data.%[1]s", table.Name))
	}
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// Rewrite replaces columns in every file of a table. Each is "expression AS column".
func Rewrite(t testing.TB, root, table string, columns ...string) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rewrite(t, db, root, table, "SELECT * REPLACE ("+strings.Join(columns, ", ")+") FROM %s")
}

// Empty removes a table's rows.
func Empty(t testing.TB, root, table string) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rewrite(t, db, root, table, "SELECT * FROM %s WHERE false")
}

func rewrite(t testing.TB, db *sql.DB, root, table, query string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, table, "*", "*", "data.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatalf("table %s has %d files: %v", table, len(files), err)
	}
	for _, file := range files {
		name := strings.ReplaceAll(file, "'", "''")
		rows := strings.Replace(query, "%s", "read_parquet('"+name+"', hive_partitioning = false)", 1)
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("COPY (%s) TO '%s.new' (FORMAT parquet)", rows, name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

package jobs

import (
	"database/sql"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// reader is somebody who queries a warehouse, by plain globs and by the views,
// from one connection that stays open.
type reader struct {
	db   *sql.DB
	root string
	over string // the tables that the views are over
}

func newReader(t testing.TB, root string) *reader {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	return &reader{db: db, root: root}
}

// glob reads a table's files, wherever they are.
func (r *reader) glob(table string) string {
	return fmt.Sprintf("read_parquet('%s/%s/**/*.parquet', hive_partitioning = true, union_by_name = true)", r.root, table)
}

// has reports whether a table has an object; of none DuckDB makes an error.
func (r *reader) has(t schema.Table) bool {
	files, err := filepath.Glob(filepath.Join(r.root, t.Name, "project_id=*", "iteration_id=*", "*.parquet"))
	return err == nil && len(files) > 0
}

// views makes those views of the script that are asked below, unless they are
// there: they take longer to make than to ask.
func (r *reader) views() error {
	script := schema.Script{Dialect: schema.DuckDB, Warehouse: r.root}
	for _, t := range schema.Tables() {
		if !r.has(t) {
			script.Empty = append(script.Empty, t.Name)
		}
	}
	over := fmt.Sprint("without ", script.Empty)
	if over == r.over {
		return nil
	}
	for _, statement := range script.Statements() {
		name, _, _ := strings.Cut(strings.TrimPrefix(statement, "CREATE OR REPLACE VIEW "), " ")
		if !asked[name] {
			continue
		}
		if _, err := r.db.Exec(statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	r.over = over
	return nil
}

// asked are the views that tests ask, and the tables below them.
var asked = map[string]bool{
	"images": true, "predictions": true, "tags": true, "regions": true, "tag_performance": true, "exports": true,
	"current_images": true, "current_predictions": true, "export_health": true,
}

// seen is what a glob shows of a table. Two are equal if the rows are, their
// export aside.
type seen struct {
	Rows, Keys int64  // keys are distinct
	Hash       string // of all rows, in any order
}

// look reads a whole table. The exports are those that wrote its rows.
func (r *reader) look(table schema.Table) (s seen, exports string, err error) {
	columns := []string{"project_id", "iteration_id"}
	key := append(columns[:2:2], table.Key...)
	for _, c := range table.Columns {
		if c.Name != "export_id" && table.Name != schema.Exports.Name {
			columns = append(columns, c.Name)
		}
	}
	if table.Name == schema.Exports.Name { // the rest of it is of the run
		columns = append(columns, "images", "predictions", "tags", "regions", "tag_performance")
		key = columns[:2]
	}
	query := fmt.Sprintf(`SELECT count(*), count(DISTINCT k), coalesce(sum(h::HUGEINT), 0)::VARCHAR, coalesce(string_agg(DISTINCT export_id, ' '), '')
		FROM (SELECT export_id, row(%s)::VARCHAR AS k, hash(row(%s)) AS h FROM %s)`, strings.Join(key, ", "), strings.Join(columns, ", "), r.glob(table.Name))
	err = r.db.QueryRow(query).Scan(&s.Rows, &s.Keys, &s.Hash, &exports)
	if err != nil {
		err = fmt.Errorf("table %s: %w", table.Name, err)
	}
	return s, exports, err
}

// count runs a query for one number.
func (r *reader) count(query string) (n int64, err error) {
	if err = r.db.QueryRow(query).Scan(&n); err != nil {
		err = fmt.Errorf("%s: %w", query, err)
	}
	return n, err
}

// mirror copies a warehouse into a folder.
func mirror(t testing.TB, s store.Store) string {
	t.Helper()
	root := t.TempDir()
	for obj, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		body, err := s.Open(t.Context(), obj.Key)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(root, filepath.FromSlash(obj.Key))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err == nil {
			_, err = io.Copy(f, body)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		body.Close()
	}
	return root
}

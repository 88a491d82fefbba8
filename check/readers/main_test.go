// Package readers tests that other programs read the tables of a warehouse as
// docs/how-to/reading.md says, and what they see while an export runs.
package readers

import (
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// snippet returns the first code block in a language below a heading of docs/how-to/reading.md.
func snippet(t *testing.T, heading, language string) string {
	t.Helper()
	body, err := os.ReadFile("../../docs/how-to/reading.md")
	if err != nil {
		t.Fatal(err)
	}
	_, below, _ := strings.Cut(string(body), "\n## "+heading+"\n")
	below, _, _ = strings.Cut(below, "\n## ")
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(below)
	if found == nil {
		t.Fatalf("docs/how-to/reading.md has no code in %s below %q", language, heading)
	}
	return found[1]
}

// service is a simulated service and a client of it.
type service struct {
	*simulated.Service
	client *extract.Client
}

func serve(t *testing.T, c simulated.Config) service {
	t.Helper()
	s, err := simulated.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := extract.NewClient(extract.Options{Endpoint: server.URL, Key: "simulated", Rate: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	return service{s, client}
}

// export exports the i-th iteration of the p-th project, or its images with some tags.
func (s service) export(t *testing.T, warehouse store.Store, p, i int, tags ...string) error {
	project := s.Projects()[p]
	_, err := jobs.Export(t.Context(), s.client, warehouse, jobs.Request{
		Project: project.ID, Iteration: project.Iterations[i].ID.String(), Tags: tags, Force: true,
		Concurrency: 4, ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, SpoolDir: t.TempDir(), Version: "test",
	})
	return err
}

func openStore(t *testing.T, root string) store.Store {
	t.Helper()
	s, err := open.Open(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// mixedWarehouse exports detectors and classifiers, one of these limited to tags, and
// turns the first file of each table that has got columns since into one of before.
func mixedWarehouse(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	warehouse := openStore(t, root)
	for _, c := range []simulated.Config{
		{Kind: simulated.Detection, Projects: 2, Iterations: 2, Images: 30},
		{Kind: simulated.Multiclass, Images: 30, ClassificationType: "null"},
		{Images: 300},
	} {
		s := serve(t, c)
		for p, project := range s.Projects() {
			for i := range project.Iterations {
				var tags []string
				if c.Images == 300 {
					tags = []string{project.Tags[0].Name, project.Tags[1].Name}
				}
				if err := s.export(t, warehouse, p, i, tags...); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	older(t, root, schema.Exports, "model_kind", "figures_missing")
	older(t, root, schema.Images, "thumbnail_uri") // as if it had been added
	return root
}

// older removes columns from the first file of a table, in the order of their names,
// which is then as an exporter wrote it that did not know these columns.
func older(t *testing.T, root string, table schema.Table, columns ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, table.Name, "*", "*", "data.parquet"))
	if err != nil || len(files) < 2 {
		t.Fatalf("table %s has %d files: %v", table.Name, len(files), err)
	}
	r, err := file.OpenParquetFile(files[0], false)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, err := pqarrow.NewFileReader(r, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	all, err := rows.ReadTable(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var fields []arrow.Field
	var values []arrow.Array
	for i, f := range all.Schema().Fields() {
		if strings.Contains(" "+strings.Join(columns, " ")+" ", " "+f.Name+" ") {
			continue
		}
		chunks := all.Column(i).Data().Chunks()
		if len(chunks) != 1 {
			t.Fatalf("%s has %d chunks", f.Name, len(chunks))
		}
		fields, values = append(fields, f), append(values, chunks[0])
	}
	metadata := arrow.NewMetadata([]string{schema.MetaSchemaVersion}, []string{"1"})
	body, err := tablefile.Encode(array.NewRecordBatch(arrow.NewSchema(fields, &metadata), values, all.NumRows()))
	if err != nil {
		t.Fatal(err)
	}
	if len(fields) != len(table.Columns)-len(columns) {
		t.Fatalf("%d columns are left of table %s", len(fields), table.Name)
	}
	if err := os.WriteFile(files[0], body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// inRoot returns a query of the docs over a warehouse elsewhere, and over another table.
func inRoot(query, root, table string) string {
	return strings.ReplaceAll(strings.ReplaceAll(query, "'warehouse/", "'"+root+"/"), "predictions", table)
}

// TestReaders runs the code of the docs, each over the same warehouse.
func TestReaders(t *testing.T) {
	t.Parallel()
	root := mixedWarehouse(t)
	for name, test := range map[string]func(t *testing.T, root string){"DuckDB": testDuckDB, "Polars": testPolars, "DataFusion": testDataFusion} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, root)
		})
	}
}

// testDuckDB checks that DuckDB has the columns that the schema says, and all rows of each
// file, read by itself.
func testDuckDB(t *testing.T, root string) {
	db := openDuckDB(t)
	query := snippet(t, "DuckDB", "sql")
	for _, table := range schema.Tables() {
		all := inRoot(query, root, table.Name)
		execute(t, db, fmt.Sprintf("CREATE TABLE %s (%s)", table.Name, table.NativeColumns()))
		if got, want := columns(t, db, all), columns(t, db, "FROM "+table.Name); !slices.Equal(got, want) {
			t.Errorf("%s has the columns\n%s\nwant\n%s", table.Name, got, want)
		}
		files, err := filepath.Glob(filepath.Join(root, table.Name, "*", "*", "data.parquet"))
		if err != nil || len(files) != 6 {
			t.Fatalf("%d files of %s: %v", len(files), table.Name, err)
		}
		var each []string
		for _, f := range files {
			project, iteration, ok := table.ParsePath(strings.TrimPrefix(filepath.ToSlash(f), root+"/"))
			if !ok {
				t.Fatalf("%s is not a file of %s", f, table.Name)
			}
			from := "FROM read_parquet('" + f + "', hive_partitioning = false)"
			has := strings.Join(columns(t, db, from), ",")
			var list []string
			for _, c := range table.Columns {
				if !strings.Contains(","+has, ","+c.Name+" ") {
					list = append(list, "NULL AS "+c.Name)
					continue
				}
				list = append(list, c.Name)
			}
			each = append(each, fmt.Sprintf("SELECT %s, '%s' AS project_id, '%s' AS iteration_id %s", strings.Join(list, ", "), project, iteration, from))
		}
		same(t, db, table, strings.Join(each, " UNION ALL "), all)
	}
}

func execute(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%v in: %s", err, statement)
	}
}

// named lists the columns of a table, and those of its path.
func named(table schema.Table) string {
	var names []string
	for _, c := range table.Columns {
		names = append(names, c.Name)
	}
	return strings.Join(append(names, "project_id", "iteration_id"), ", ")
}

// columns returns the columns of a query, each as CREATE TABLE has it, in the order of
// their names.
func columns(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT column_name, column_type FROM (DESCRIBE "+query+")")
	if err != nil {
		t.Fatalf("%v in: %s", err, query)
	}
	defer rows.Close()
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		all = append(all, name+" "+kind)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// same fails if two queries for the rows of a table do not have the same, or have none.
func same(t *testing.T, db *sql.DB, table schema.Table, want, got string) {
	t.Helper()
	var rows, missing, extra int
	query := fmt.Sprintf(`WITH want AS MATERIALIZED (SELECT %[1]s FROM (%[2]s)), got AS MATERIALIZED (SELECT %[1]s FROM (%[3]s))
		SELECT (SELECT count(*) FROM want), (SELECT count(*) FROM (FROM want EXCEPT ALL FROM got)), (SELECT count(*) FROM (FROM got EXCEPT ALL FROM want))`,
		named(table), want, got)
	if err := db.QueryRowContext(t.Context(), query).Scan(&rows, &missing, &extra); err != nil {
		t.Fatalf("%s: %v in: %s", table.Name, err, query)
	}
	if rows == 0 || missing+extra > 0 {
		t.Errorf("%s: of %d rows %d are missing, and %d are others", table.Name, rows, missing, extra)
	}
}

package tablefile

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/xitongsys/parquet-go-source/buffer"
	"github.com/xitongsys/parquet-go/reader"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// readers are independent readers of Parquet files. Read returns a text for each value,
// for [same].
var readers = []struct {
	Name string
	Read func(t *testing.T, table schema.Table, body []byte) [][]string
}{
	{"duckdb", readDuckDB},
	{"arrow15", readArrow15},
	{"xitongsys", readXitongsys},
}

func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// writeFile returns the path of a file that holds body.
func writeFile(t *testing.T, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.parquet")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readDuckDB(t *testing.T, table schema.Table, body []byte) [][]string {
	t.Helper()
	return exactRows(queryDuckDB(t, fmt.Sprintf("select * from read_parquet('%s')", writeFile(t, body)), len(table.Columns)))
}

// queryDuckDB returns the rows of a query of so many columns.
func queryDuckDB(t *testing.T, query string, columns int) []tablefiletest.Row {
	t.Helper()
	rs, err := openDuckDB(t).Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rs.Close()
	var rows []tablefiletest.Row
	for rs.Next() {
		r := make(tablefiletest.Row, columns)
		into := make([]any, columns)
		for i := range r {
			into[i] = &r[i]
		}
		if err := rs.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i := range r {
			r[i] = fromDuckDB(r[i])
		}
		rows = append(rows, r)
	}
	if err := rs.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func fromDuckDB(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = fromDuckDB(v[i])
		}
	case duckdb.OrderedMap:
		m := map[string]any{}
		for i, k := range v.Keys() {
			m[fmt.Sprint(k)] = fromDuckDB(v.Values()[i])
		}
		return m
	}
	return v
}

// buildArrow15 builds the program that reads with Arrow 15, once for all tests.
var buildArrow15 = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "arrow15-*")
	if err != nil {
		return "", err
	}
	arrow15Dir = dir
	program := filepath.Join(dir, "arrow15.exe")
	const source = "github.com/cvexport/cvexport/load/tablefile/internal/arrow15"
	if out, err := exec.Command("go", "test", "-c", "-o", program, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return program, nil
})

var arrow15Dir string // made by buildArrow15

// TestMain removes what the readers shared.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := os.RemoveAll(arrow15Dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func readArrow15(t *testing.T, _ schema.Table, body []byte) [][]string {
	t.Helper()
	program, err := buildArrow15()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, writeFile(t, body))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	var rows [][]string
	if err := json.Unmarshal(out, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func readXitongsys(t *testing.T, table schema.Table, body []byte) [][]string {
	t.Helper()
	file := buffer.NewBufferFileFromBytes(body)
	pr, err := reader.NewParquetReader(file, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := pr.ReadByNumber(int(pr.GetNumRows()))
	if err != nil {
		t.Fatal(err)
	}
	pr.ReadStop()
	if int64(len(whole)) != pr.GetNumRows() {
		t.Fatalf("read row by row: %d rows, want %d", len(whole), pr.GetNumRows())
	}

	pr, err = reader.NewParquetColumnReader(buffer.NewBufferFileFromBytes(body), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer pr.ReadStop()
	rows := make([]tablefiletest.Row, pr.GetNumRows())
	leaf := int64(0)
	column := func() (values []any, repetition, definition []int32) {
		values, repetition, definition, err := pr.ReadColumnByIndex(leaf, pr.GetNumRows())
		if err != nil {
			t.Fatal(err)
		}
		leaf++
		return values, repetition, definition
	}
	for _, c := range table.Columns {
		switch c.Type {
		case schema.StringList:
			values, repetition, definition := column()
			n := -1
			for k, v := range values {
				if repetition[k] == 0 {
					n++
					rows[n] = append(rows[n], []any{})
				}
				if definition[k] > 0 {
					at := len(rows[n]) - 1
					rows[n][at] = append(rows[n][at].([]any), v)
				}
			}
		case schema.StructList:
			for f, part := range c.Fields {
				values, repetition, definition := column()
				n, e := -1, 0
				for k, v := range values {
					if repetition[k] == 0 {
						n++
						e = 0
						if f == 0 {
							rows[n] = append(rows[n], []any{})
						}
					}
					if definition[k] == 0 {
						continue
					}
					at := len(rows[n]) - 1
					if f == 0 {
						rows[n][at] = append(rows[n][at].([]any), map[string]any{})
					}
					rows[n][at].([]any)[e].(map[string]any)[part.Name] = v
					e++
				}
			}
		default:
			values, _, _ := column()
			if len(values) != len(rows) {
				t.Fatalf("column %s has %d values, want %d", c.Name, len(values), len(rows))
			}
			for n, v := range values {
				if micros, ok := v.(int64); ok && c.Type == schema.Timestamp {
					v = time.UnixMicro(micros).UTC()
				}
				rows[n] = append(rows[n], v)
			}
		}
	}
	return exactRows(rows)
}

// same compares what a reader returned with the rows written.
func same(t *testing.T, table schema.Table, got [][]string, rows []tablefiletest.Row) {
	t.Helper()
	want := exactRows(rows)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("row %d has %d columns, want %d", i, len(got[i]), len(want[i]))
		}
		for j := range want[i] {
			if got[i][j] != want[i][j] {
				t.Fatalf("row %d, column %s: %s, want %s", i, table.Columns[j].Name, got[i][j], want[i][j])
			}
		}
	}
}

func exactRows(rows []tablefiletest.Row) [][]string {
	texts := make([][]string, len(rows))
	for i, r := range rows {
		for _, v := range r {
			texts[i] = append(texts[i], exact(v))
		}
	}
	return texts
}

// exact returns a text that differs if two values differ in any bit. The program
// internal/arrow15 prints the same.
func exact(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("string %q", v)
	case float64:
		return fmt.Sprintf("float64 %g %016x", v, math.Float64bits(v))
	case int32, int64:
		return fmt.Sprintf("%T %d", v, v)
	case time.Time:
		return "time " + v.UTC().Format(time.RFC3339Nano)
	case []any:
		text := "["
		for _, e := range v {
			text += exact(e) + "; "
		}
		return text + "]"
	case map[string]any:
		fields := make(map[string]string, len(v))
		for k, e := range v {
			fields[k] = exact(e)
		}
		return fmt.Sprint(fields) // sorted by key
	}
	panic(fmt.Sprintf("no exact form of %T", v))
}

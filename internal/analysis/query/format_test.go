package query

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	project   = "b782e311-a9a9-40c2-8cc1-c3c9019785f7"
	iteration = "5fb0f52c-b317-4b9c-87e6-af6aba147c7b"
)

// newWarehouse makes a warehouse with two predictions and nothing else.
func newWarehouse(t *testing.T, name string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), name)
	folder := filepath.Join(root, "predictions", "project_id="+project, "iteration_id="+iteration)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), fmt.Sprintf(`COPY (
		SELECT * FROM (VALUES ('image-1', 'Löffel', 8.79471951e-13, NULL), ('image-2', '猫 "x", y', 0.5, 0.25)) v(image_id, tag_name, probability, box_left)
	) TO '%s' (FORMAT parquet)`, strings.ReplaceAll(filepath.Join(folder, "data.parquet"), "'", "''")))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// answer runs a query over the warehouse in a folder, as cvreport query does.
func answer(t *testing.T, root string, format Format, target, text string) (stdout string, err error) {
	t.Helper()
	return answerWith(t, root, format, target, text, false)
}

func answerWith(t *testing.T, root string, format Format, target, text string, external bool) (stdout string, err error) {
	t.Helper()
	q, err := Parse(text, external)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	temp := t.TempDir()
	out, err := NewOutput(target, &b, temp)
	if err != nil {
		t.Fatal(err)
	}
	s := session{temp: temp}
	if !external {
		s.within = []string{root, temp, out.Folder()}
	}
	db, err := s.open(t.Context(), root, All, q.Needs)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = q.Run(t.Context(), db, format, out)
	if err := out.Close(); err != nil {
		t.Error(err)
	}
	return b.String(), err
}

func mustRun(t *testing.T, root string, format Format, text string) string {
	t.Helper()
	return mustRunWith(t, root, format, text, false)
}

func mustRunWith(t *testing.T, root string, format Format, text string, external bool) string {
	t.Helper()
	out, err := answerWith(t, root, format, "-", text, external)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return out
}

func TestFormats(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	const text = "SELECT image_id, tag_name, probability, box_left FROM predictions ORDER BY image_id"
	for format, want := range map[Format]string{
		Table: `image_id  tag_name      probability  box_left
--------  ---------  --------------  --------
image-1   Löffel     8.79471951e-13      NULL
image-2   猫 "x", y             0.5      0.25
(2 rows)
`,
		CSV: `image_id,tag_name,probability,box_left
image-1,Löffel,8.79471951e-13,
image-2,"猫 ""x"", y",0.5,0.25
`,
		JSON: `[
  {"image_id": "image-1", "tag_name": "Löffel", "probability": 8.79471951e-13, "box_left": null},
  {"image_id": "image-2", "tag_name": "猫 \"x\", y", "probability": 0.5, "box_left": 0.25}
]
`,
	} {
		if diff := cmp.Diff(want, mustRun(t, root, format, text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestAnswers(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for text, want := range map[string]string{
		"SELECT DISTINCT project_id, iteration_id FROM predictions":                   `[{"project_id": "` + project + `", "iteration_id": "` + iteration + `"}]`,
		"SELECT count(*) AS n FROM images":                                            `[{"n": 0}]`,
		"SELECT typeof(objects) AS t FROM exports UNION ALL SELECT 'none'":            `[{"t": "none"}]`,
		"SELECT count(*) AS n FROM exports, unnest(objects) AS u(o) WHERE o.rows > 0": `[{"n": 0}]`,
		"CREATE TABLE x AS SELECT 1 AS a; SELECT a + 1 AS b FROM x":                   `[{"b": 2}]`,
		"SELECT [1, NULL] AS l, {'a': 'é'} AS s, 1.50::DECIMAL(9,2) AS d, TIMESTAMPTZ '2020-02-11 16:43:08.98791Z' AS t, 170141183460469231731687303715884105727 AS h": `[{"l": [1,null], "s": {"a":"é"}, "d": 1.5, "t": "2020-02-11 16:43:08.98791+00", "h": 170141183460469231731687303715884105727}]`,
		"SELECT 1 AS n WHERE false": `[]`,
	} {
		stdout := mustRun(t, root, JSON, text)
		if !json.Valid([]byte(stdout)) {
			t.Errorf("%s: not json: %s", text, stdout)
		}
		if got := strings.NewReplacer("\n", "", "[\n  ", "[", "  {", "{").Replace(stdout); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

// A Parquet file has the types of the last of several statements.
func TestParquet(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	file := filepath.Join(t.TempDir(), "it's.parquet")
	const text = `CREATE TABLE x AS SELECT 1::TINYINT AS i; -- ; SELECT 2
		SELECT i, 'a;b' AS t, [1.5::DECIMAL(9,2), NULL] AS l, {'s': TIMESTAMPTZ '2020-02-11 16:43:08.98791Z'} AS s, NULL::DOUBLE AS n FROM x;`
	if stdout, err := answer(t, root, Parquet, file, text); err != nil || stdout != "" {
		t.Fatalf("%v: %s", err, stdout)
	}
	from := "FROM '" + escape(file) + "'"
	out := mustRunWith(t, root, CSV, "SELECT column_name, column_type FROM (DESCRIBE "+from+")", true)
	want := "column_name,column_type\ni,TINYINT\nt,VARCHAR\nl,\"DECIMAL(9,2)[]\"\ns,STRUCT(s TIMESTAMP WITH TIME ZONE)\nn,DOUBLE\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	out = mustRunWith(t, root, CSV, from, true)
	if want := "i,t,l,s,n\n1,a;b,\"[1.50, NULL]\",{'s': '2020-02-11 16:43:08.98791+00'},\n"; out != want {
		t.Errorf("rows %q, want %q", out, want)
	}
	out = mustRunWith(t, root, CSV, "SELECT DISTINCT compression FROM parquet_metadata('"+escape(file)+"')", true)
	if out != "compression\nZSTD\n" {
		t.Errorf("compression %q", out)
	}
	out = mustRun(t, root, Parquet, "SELECT 1 AS a")
	if !strings.HasPrefix(out, "PAR1") || !strings.HasSuffix(out, "PAR1") {
		t.Errorf("standard output: %q", out)
	}
}

// More rows than one batch keep their order.
func TestManyRows(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := newWarehouse(t, "warehouse")
	const n = 120_001
	text := fmt.Sprintf("SELECT i AS n, i AS N FROM range(%d) AS t(i) ORDER BY i DESC", n)
	for format, line := range map[Format]string{CSV: "%d,%[1]d\n", JSON: "  {\"n\": %d, \"N_1\": %[1]d}"} {
		out := mustRun(t, root, format, text)
		var want strings.Builder
		want.WriteString(map[Format]string{CSV: "n,N_1\n", JSON: "[\n"}[format])
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(&want, line, i)
			if format == JSON && i > 0 {
				want.WriteString(",\n")
			}
		}
		want.WriteString(map[Format]string{JSON: "\n]\n"}[format])
		if out != want.String() {
			t.Errorf("%s: %d bytes, want %d", format, len(out), want.Len())
		}
	}
	out := mustRun(t, root, Table, fmt.Sprintf("SELECT repeat('x', 1 + i // 1000) AS long, i FROM range(%d) AS t(i)", n))
	if lines := strings.Split(out, "\n"); len(lines) != n+4 || lines[2] != "x       0" || lines[n+1] != strings.Repeat("x", 121)+"  120000" || lines[n+2] != "(120001 rows)" {
		t.Errorf("table: %d lines: %q, %q", len(lines), lines[2], lines[n+1])
	}
}

func TestCells(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	out := mustRun(t, root, Table, "SELECT E'one\ntwo\r\nthree\t\x1b[1m' AS text, 7 AS n, DATE '2020-01-02' AS d, TIME '10:11:12.5' AS t, 'NaN'::DOUBLE AS x")
	want := `text                          n  d           t             x
----------------------------  -  ----------  ----------  ---
one\ntwo\r\nthree\t\u001b[1m  7  2020-01-02  10:11:12.5  nan
(1 row)
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out = mustRun(t, root, Table, "EXPLAIN SELECT 1")
	if !strings.Contains(out, "\n               │") || strings.Count(out, "\n") < 6 {
		t.Errorf("a plan is not readable:\n%s", out)
	}
	out = mustRun(t, root, JSON, "SELECT ['NaN'::DOUBLE, '-inf'] AS l, {'f': 'inf'::FLOAT} AS s, 'nan'::FLOAT AS f")
	if want := "[\n  {\"l\": [\"NaN\",\"-Infinity\"], \"s\": {\"f\":\"Infinity\"}, \"f\": \"NaN\"}\n]\n"; out != want {
		t.Errorf("%s, want %s", out, want)
	}
	out = mustRun(t, root, JSON, "DESCRIBE exports")
	if !strings.Contains(out, `"column_name": "export_id"`) {
		t.Error(out)
	}
	// What DuckDB cannot format has the driver's values.
	const insert = `CREATE TABLE x (i INT, d DECIMAL(9,2), t TIMESTAMPTZ, l INT[], f DOUBLE, n INT); INSERT INTO x VALUES (1, 1.50, '2020-02-11 16:43:08Z', [1, 2], 'nan', NULL)`
	for text, want := range map[string]map[Format]string{
		insert: {CSV: "Count\n1\n", JSON: "[\n  {\"Count\": 1}\n]\n"},
		insert + " RETURNING *": {
			CSV:  "i,d,t,l,f,n\n1,1.5,2020-02-11 16:43:08Z,\"[1,2]\",NaN,\n",
			JSON: `[` + "\n" + `  {"i": 1, "d": 1.5, "t": "2020-02-11T16:43:08Z", "l": [1,2], "f": "NaN", "n": null}` + "\n]\n",
		},
	} {
		for format, want := range want {
			if out := mustRun(t, root, format, text); out != want {
				t.Errorf("%s: %s, want %s", text, out, want)
			}
		}
	}
	for _, text := range []string{"BEGIN; CREATE TABLE x AS SELECT 1 AS a; FROM x", "BEGIN; COMMIT; SELECT 1 AS a"} {
		if out := mustRun(t, root, CSV, text); out != "a\n1\n" {
			t.Errorf("%s: %s", text, out)
		}
	}
}

// What DuckDB reads back from CSV is the same, NULL and empty strings included.
func TestCSVReadsBack(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	file := filepath.Join(t.TempDir(), "answer.csv")
	const texts = `SELECT * FROM (VALUES ('first'), (NULL), (''), (' both '), ('a,"b"'), (E'one\ntwo'), (E'three\r\n'), ('# no'), ('NULL'), ('\'), ('"'), ('Löffel'), (E'\t'), (''), ('last')) AS v(t)`
	for _, text := range []string{
		texts,
		"SELECT t, row_number() OVER () AS n, t AS \"a, b\" FROM (" + texts + ")",
		"SELECT t, NULL::VARCHAR AS n FROM (" + texts + ")",
	} {
		if _, err := answer(t, root, CSV, file, text); err != nil {
			t.Fatal(err)
		}
		read := "FROM read_csv('" + file + "', header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, allow_quoted_nulls = false, null_padding = false)"
		for _, format := range []Format{JSON, Table} {
			want := mustRun(t, root, format, "SELECT COLUMNS(*)::VARCHAR FROM ("+text+")")
			got := mustRunWith(t, root, format, read, true)
			if diff := cmp.Diff(want, got); diff != "" {
				body, _ := os.ReadFile(file)
				t.Errorf("%s (-queried +read back):\n%s%s", text, diff, body)
			}
		}
	}
}

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Parquet keeps the types, of the last of several statements.
func TestQueryParquet(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	file := filepath.Join(t.TempDir(), "it's.parquet")
	const text = `CREATE TABLE x AS SELECT 1::TINYINT AS i; -- ; SELECT 2
		SELECT i, 'a;b' AS t, [1.5::DECIMAL(9,2), NULL] AS l, {'s': TIMESTAMPTZ '2020-02-11 16:43:08.98791Z'} AS s, NULL::DOUBLE AS n FROM x;`
	stdout, stderr, code := query(t, "--warehouse", root, "-o", file, text)
	if code != exitDone || stdout+stderr != "" {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	from := "FROM '" + quoted(file) + "'"
	out, _ := mustQuery(t, "--warehouse", root, "--format", "csv", "SELECT column_name, column_type FROM (DESCRIBE "+from+")")
	want := "column_name,column_type\ni,TINYINT\nt,VARCHAR\nl,\"DECIMAL(9,2)[]\"\ns,STRUCT(s TIMESTAMP WITH TIME ZONE)\nn,DOUBLE\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	out, _ = mustQuery(t, "--warehouse", root, "--format", "csv", from)
	if want := "i,t,l,s,n\n1,a;b,\"[1.50, NULL]\",{'s': '2020-02-11 16:43:08.98791+00'},\n"; out != want {
		t.Errorf("rows %q, want %q", out, want)
	}
	out, _ = mustQuery(t, "--warehouse", root, "--format", "csv", "SELECT DISTINCT compression FROM parquet_metadata('"+quoted(file)+"')")
	if out != "compression\nZSTD\n" {
		t.Errorf("compression %q", out)
	}
	out, _ = mustQuery(t, "--warehouse", root, "--format", "parquet", "SELECT 1 AS a")
	if !strings.HasPrefix(out, "PAR1") || !strings.HasSuffix(out, "PAR1") {
		t.Errorf("standard output: %q", out)
	}
}

// Whatever there was stays until the answer is whole, and nothing else stays.
func TestQueryOutput(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	folder := t.TempDir()
	file := filepath.Join(folder, "answer")
	for _, format := range []string{"table", "csv", "json", "parquet"} {
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []string{"SELECT nope FROM predictions", "SELECT tag_name::INT AS n FROM predictions"} {
			if _, stderr, code := query(t, "--warehouse", root, "--format", format, "-o", file, wrong); code != exitFailed {
				t.Errorf("%s: exit code %d: %s", format, code, stderr)
			}
			if body, err := os.ReadFile(file); err != nil || string(body) != "before" {
				t.Errorf("%s: after a failure the file is %q, %v", format, body, err)
			}
		}
		const text = "SELECT 1 AS n"
		want, _ := mustQuery(t, "--warehouse", root, "--format", format, text)
		mustQuery(t, "--warehouse", root, "--format", format, "-o", file, text)
		if body, err := os.ReadFile(file); err != nil || string(body) != want {
			t.Errorf("%s: the file is %q, %v; standard output was %q", format, body, err, want)
		}
		for _, args := range [][]string{{"-o", filepath.Join(folder, "none", "x")}, {"-o", folder}} {
			if _, stderr, code := query(t, append(args, "--warehouse", root, "--format", format, text)...); code == exitDone || !strings.Contains(stderr, folder) {
				t.Errorf("%s, %v: exit code %d: %s", format, args, code, stderr)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestQueryOutputElsewhere(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link.csv")
	if err := os.Symlink("file.json", link); err != nil {
		t.Fatal(err)
	}
	mustQuery(t, "--warehouse", root, "-o", link, "SELECT 1 AS n") // the name that was given says which format
	if body, err := os.ReadFile(filepath.Join(folder, "file.json")); err != nil || string(body) != "n\n1\n" {
		t.Errorf("behind the link is %q, %v", body, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}

	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	read := make(chan string)
	go func() {
		body, err := os.ReadFile(pipe)
		if err != nil {
			t.Error(err)
		}
		read <- string(body)
	}()
	mustQuery(t, "--warehouse", root, "--format", "parquet", "-o", pipe, "SELECT 1 AS n")
	if body := <-read; !strings.HasPrefix(body, "PAR1") {
		t.Errorf("through the pipe came %q", body)
	}
	if info, err := os.Stat(pipe); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is gone: %v, %v", info, err)
	}
}

// A terminal is not filled with Parquet.
func TestQueryParquetToTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer terminal.Close()
	var stderr bytes.Buffer
	code := run([]string{"query", "--warehouse", newWarehouse(t, "warehouse"), "--format", "parquet", "SELECT 1"}, strings.NewReader(""), terminal, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "give a file with --output") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

// More rows than are read at once come all, and in their order.
func TestQueryManyRows(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	const n = 120_001
	text := fmt.Sprintf("SELECT i AS n, i AS N FROM range(%d) AS t(i) ORDER BY i DESC", n)
	for format, line := range map[string]string{"csv": "%d,%[1]d\n", "json": "  {\"n\": %d, \"N_1\": %[1]d}"} {
		out, _ := mustQuery(t, "--warehouse", root, "--format", format, text)
		var want strings.Builder
		want.WriteString(map[string]string{"csv": "n,N_1\n", "json": "[\n"}[format])
		for i := n - 1; i >= 0; i-- {
			fmt.Fprintf(&want, line, i)
			if format == "json" && i > 0 {
				want.WriteString(",\n")
			}
		}
		want.WriteString(map[string]string{"json": "\n]\n"}[format])
		if out != want.String() {
			t.Errorf("%s: %d bytes, want %d", format, len(out), want.Len())
		}
	}
	out, _ := mustQuery(t, "--warehouse", root, fmt.Sprintf("SELECT repeat('x', 1 + i // 1000) AS long, i FROM range(%d) AS t(i)", n))
	if lines := strings.Split(out, "\n"); len(lines) != n+4 || lines[2] != "x       0" || lines[n+1] != strings.Repeat("x", 121)+"  120000" || lines[n+2] != "(120001 rows)" {
		t.Errorf("table: %d lines: %q, %q", len(lines), lines[2], lines[n+1])
	}
}

// failing is a writer that is full after some bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// That not all could be written is a failure.
func TestQueryToFullOutput(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for _, format := range []string{"table", "csv", "json", "parquet"} {
		var stderr bytes.Buffer
		code := run([]string{"query", "--warehouse", root, "--format", format, "SELECT hash(i) AS h FROM range(60000) AS t(i)"}, nil, &failing{left: 100_000}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), io.ErrShortWrite.Error()) {
			t.Errorf("%s: exit code %d: %s", format, code, &stderr)
		}
	}
}

func TestQueryCells(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	out, _ := mustQuery(t, "--warehouse", root, "SELECT E'one\ntwo\r\nthree\t\x1b[1m' AS text, 7 AS n, DATE '2020-01-02' AS d, TIME '10:11:12.5' AS t, 'NaN'::DOUBLE AS x")
	want := `text        n  d           t             x
----------  -  ----------  ----------  ---
one         7  2020-01-02  10:11:12.5  nan
two
three  [1m
(1 row)
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	out, _ = mustQuery(t, "--warehouse", root, "EXPLAIN SELECT 1")
	if !strings.Contains(out, "\n               │") || strings.Count(out, "\n") < 6 {
		t.Errorf("a plan is not legible:\n%s", out)
	}
	out, _ = mustQuery(t, "--warehouse", root, "--format", "json", "SELECT ['NaN'::DOUBLE, '-inf'] AS l, {'f': 'inf'::FLOAT} AS s, 'nan'::FLOAT AS f")
	if want := "[\n  {\"l\": [\"NaN\",\"-Infinity\"], \"s\": {\"f\":\"Infinity\"}, \"f\": \"NaN\"}\n]\n"; out != want {
		t.Errorf("%s, want %s", out, want)
	}
	out, _ = mustQuery(t, "--warehouse", root, "--format", "json", "DESCRIBE exports")
	if !strings.Contains(out, `"column_name": "export_id"`) {
		t.Error(out)
	}
	for _, text := range []string{"BEGIN; CREATE TABLE x AS SELECT 1 AS a; FROM x", "BEGIN; COMMIT; SELECT 1 AS a"} {
		if out, _ := mustQuery(t, "--warehouse", root, "--format", "csv", text); out != "a\n1\n" {
			t.Errorf("%s: %s", text, out)
		}
	}
}

// What DuckDB reads from csv is what was asked for, NULL told from an empty text.
func TestQueryCSVReadsBack(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	file := filepath.Join(t.TempDir(), "answer.csv")
	const texts = `SELECT * FROM (VALUES ('first'), (NULL), (''), (' both '), ('a,"b"'), (E'one\ntwo'), (E'three\r\n'), ('# no'), ('NULL'), ('\'), ('"'), ('Löffel'), (E'\t'), (''), ('last')) AS v(t)`
	for _, text := range []string{
		texts,
		"SELECT t, row_number() OVER () AS n, t AS \"a, b\" FROM (" + texts + ")",
		"SELECT t, NULL::VARCHAR AS n FROM (" + texts + ")",
	} {
		mustQuery(t, "--warehouse", root, "-o", file, text)
		read := "FROM read_csv('" + file + "', header = true, delim = ',', quote = '\"', escape = '\"', all_varchar = true, allow_quoted_nulls = false, null_padding = false)"
		for _, format := range []string{"json", "table"} {
			want, _ := mustQuery(t, "--warehouse", root, "--format", format, "SELECT COLUMNS(*)::VARCHAR FROM ("+text+")")
			got, _ := mustQuery(t, "--warehouse", root, "--format", format, read)
			if diff := cmp.Diff(want, got); diff != "" {
				body, _ := os.ReadFile(file)
				t.Errorf("%s (-asked +read from csv):\n%s%s", text, diff, body)
			}
		}
	}
}

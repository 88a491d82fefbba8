package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
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

func query(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(append([]string{"query"}, args...), strings.NewReader("SELECT 'from stdin' AS x"), &out, &errs)
	return out.String(), errs.String(), code
}

func TestQueryFormats(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	const text = "SELECT image_id, tag_name, probability, box_left FROM predictions ORDER BY image_id"
	for format, want := range map[string]string{
		"table": `image_id  tag_name      probability  box_left
--------  ---------  --------------  --------
image-1   Löffel     8.79471951e-13      NULL
image-2   猫 "x", y             0.5      0.25
(2 rows)
`,
		"csv": `image_id,tag_name,probability,box_left
image-1,Löffel,8.79471951e-13,
image-2,"猫 ""x"", y",0.5,0.25
`,
		"json": `[
  {"image_id": "image-1", "tag_name": "Löffel", "probability": 8.79471951e-13, "box_left": null},
  {"image_id": "image-2", "tag_name": "猫 \"x\", y", "probability": 0.5, "box_left": 0.25}
]
`,
	} {
		stdout, stderr, code := query(t, "--warehouse", root, "--format", format, text)
		if code != exitDone {
			t.Fatalf("%s: exit code %d: %s", format, code, stderr)
		}
		if diff := cmp.Diff(want, stdout); diff != "" {
			t.Errorf("%s (-want +got):\n%s", format, diff)
		}
	}
}

func TestQueryAnswers(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for text, want := range map[string]string{
		"SELECT DISTINCT project_id, iteration_id FROM predictions":                   `[{"project_id": "` + project + `", "iteration_id": "` + iteration + `"}]`,
		"SELECT count(*) AS n FROM images":                                            `[{"n": 0}]`,
		"SELECT typeof(objects) AS t FROM exports UNION ALL SELECT 'none'":            `[{"t": "none"}]`,
		"SELECT count(*) AS n FROM exports, unnest(objects) AS u(o) WHERE o.rows > 0": `[{"n": 0}]`,
		"CREATE TABLE x AS SELECT 1 AS a; SELECT a + 1 AS b FROM x":                   `[{"b": 2}]`,
		"SELECT [1, NULL] AS l, {'a': 'é'} AS s, 1.50::DECIMAL(9,2) AS d, TIMESTAMPTZ '2020-02-11 16:43:08.98791Z' AS t, 170141183460469231731687303715884105727 AS h": `[{"l": [1,null], "s": {"a":"é"}, "d": 1.5, "t": "2020-02-11 16:43:08.98791+00", "h": 170141183460469231731687303715884105727}]`,
		"SELECT 1 AS n WHERE false": `[]`,
		"-":                         `[{"x": "from stdin"}]`,
	} {
		stdout, stderr, code := query(t, "--warehouse", "file://"+root, "--format", "json", text)
		if code != exitDone {
			t.Errorf("%s: exit code %d: %s", text, code, stderr)
			continue
		}
		if !json.Valid([]byte(stdout)) {
			t.Errorf("%s: not json: %s", text, stdout)
		}
		if got := strings.NewReplacer("\n", "", "[\n  ", "[", "  {", "{").Replace(stdout); got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no sql":        {[]string{"--warehouse", root}, exitUsage, "want one argument"},
		"empty sql":     {[]string{"--warehouse", root, " "}, exitUsage, "no sql to run"},
		"format":        {[]string{"--warehouse", root, "--format", "xml", "SELECT 1"}, exitUsage, "none of table, csv, json"},
		"flag":          {[]string{"--nonsense"}, exitUsage, "unknown flag"},
		"wrong sql":     {[]string{"--warehouse", root, "SELEC 1"}, exitFailed, "syntax error"},
		"wrong column":  {[]string{"--warehouse", root, "SELECT nope FROM predictions"}, exitFailed, "nope"},
		"no warehouse":  {[]string{"--warehouse", root + "-not", "SELECT 1"}, exitFailed, "check --warehouse"},
		"kind":          {[]string{"--warehouse", "https://b/x?sig=secret", "SELECT 1"}, exitUsage, "unknown kind of url"},
		"token":         {[]string{"--warehouse", "azblob://b/x?sig=secret", "SELECT 1"}, exitUsage, "AZURE_STORAGE_SAS_TOKEN"},
		"extension":     {[]string{"--warehouse", root, "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')"}, exitFailed, "httpfs"},
		"file as house": {[]string{"--warehouse", os.Args[0], "SELECT 1"}, exitFailed, "no folder"},
	} {
		_, stderr, code := query(t, tc.args...)
		if code != tc.code || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, stderr, tc.code, tc.want)
		}
	}
}

// What cvexport sql prints for a folder runs, also where a table has no object.
func TestPrintedScript(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	if err := os.Rename(filepath.Join(root, "predictions"), filepath.Join(root, "exports")); err != nil {
		t.Fatal(err)
	}
	script, err := exec.Command(builtCvexport(t), "sql", "--dialect", "duckdb", "--warehouse", root).Output()
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), string(script)); err != nil {
		t.Fatal(err)
	}
	var exports, predictions int
	if err := db.QueryRowContext(t.Context(), "SELECT (SELECT count(*) FROM exports), count(*) FROM current_predictions").Scan(&exports, &predictions); err != nil || exports != 2 || predictions != 0 {
		t.Errorf("%d exports, %d predictions, %v", exports, predictions, err)
	}
}

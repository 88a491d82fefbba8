package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	project   = "b782e311-a9a9-40c2-8cc1-c3c9019785f7"
	iteration = "5fb0f52c-b317-4b9c-87e6-af6aba147c7b"

	stdin = "SELECT 'from stdin' AS x"
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

func runQuery(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(append([]string{"query"}, args...), strings.NewReader(stdin), &out, &errs)
	return out.String(), errs.String(), code
}

// The SQL is standard input, or the argument, also if it begins like a flag.
func TestQueryFrom(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for _, args := range [][]string{{"-"}, {stdin}, {"--", "-- comment\n" + stdin}} {
		stdout, _ := mustQuery(t, append([]string{"--warehouse", "file://" + root, "--format", "csv"}, args...)...)
		if stdout != "x\nfrom stdin\n" {
			t.Errorf("%v: %s", args, stdout)
		}
	}
}

// --project and --iteration leave the others out.
func TestQueryNarrowed(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for flags, want := range map[string]string{"": "2", "--project=" + project: "2", "--iteration=" + iteration: "2"} {
		args := []string{"--warehouse", root, "--format", "csv", "SELECT count(*) AS n FROM predictions"}
		if flags != "" {
			args = append(args, flags)
		}
		if out, _ := mustQuery(t, args...); out != "n\n"+want+"\n" {
			t.Errorf("%s: %s", flags, out)
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
		"empty sql":     {[]string{"--warehouse", root, " "}, exitUsage, "no SQL to run"},
		"format":        {[]string{"--warehouse", root, "--format", "xml", "SELECT 1"}, exitUsage, "not one of table, csv, json"},
		"flag":          {[]string{"--nonsense"}, exitUsage, "unknown flag: --nonsense"},
		"comment":       {[]string{"-- comment\nSELECT 1"}, exitUsage, "put -- before the SQL, or use - and standard input"},
		"line":          {[]string{"-----\nSELECT 1"}, exitUsage, "put -- before the SQL, or use - and standard input"},
		"no address":    {[]string{"--warehouse", "", "SELECT 1"}, exitUsage, "the address is empty"},
		"wrong sql":     {[]string{"--warehouse", root, "SELEC 1"}, exitFailed, "syntax error"},
		"wrong column":  {[]string{"--warehouse", root, "SELECT nope FROM predictions"}, exitFailed, "nope"},
		"no warehouse":  {[]string{"--warehouse", root + "-not", "SELECT 1"}, exitFailed, "check --warehouse"},
		"kind":          {[]string{"--warehouse", "https://b/x?sig=secret", "SELECT 1"}, exitUsage, "unknown kind of URL"},
		"project":       {[]string{"--warehouse", root, "--project", "../x", "SELECT 1"}, exitUsage, "--project: "},
		"iteration":     {[]string{"--warehouse", root, "--iteration", "Iteration 1", "SELECT 1"}, exitUsage, "--iteration: "},
		"token":         {[]string{"--warehouse", "azblob://b/x?sig=secret", "SELECT 1"}, exitUsage, "AZURE_STORAGE_SAS_TOKEN"},
		"another file":  {[]string{"--warehouse", root, "FROM read_csv('/etc/passwd')"}, exitFailed, "--allow-external"},
		"extension":     {[]string{"--warehouse", root, "--allow-external", "SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')"}, exitFailed, "httpfs"},
		"file as house": {[]string{"--warehouse", os.Args[0], "SELECT 1"}, exitFailed, "not a folder"},
	} {
		_, stderr, code := runQuery(t, tc.args...)
		if code != tc.code || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: exit code %d, %q; want %d and %q", name, code, stderr, tc.code, tc.want)
		}
	}
}

// Missing credentials are a failure, as they are of cvexport: the command line is right.
func TestQueryWithoutCredentials(t *testing.T) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_REGION": "eu-central-1",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere", "AWS_EC2_METADATA_DISABLED": "true",
		"CVEXPORT_CACHE": t.TempDir(),
	} {
		t.Setenv(name, value)
	}
	_, stderr, code := runQuery(t, "--warehouse", "s3://bucket/vision", "SELECT 1")
	if code != exitFailed || !strings.Contains(stderr, "no credentials") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// What cvexport sql prints for a folder runs, also where a table has no object, as views,
// as a copy, and narrowed.
func TestPrintedScript(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	if err := os.Rename(filepath.Join(root, "predictions"), filepath.Join(root, "exports")); err != nil {
		t.Fatal(err)
	}
	cvexport := builtCvexport(t)
	for _, flags := range [][]string{nil, {"--load"}, {"--project", project}, {"--iteration", iteration}, {"--load", "--project", project, "--iteration", iteration}} {
		if testing.Short() && len(flags) > 0 && len(flags) < 5 { // the last ones are all of them
			continue
		}
		script, err := exec.Command(cvexport, append([]string{"sql", "--dialect", "duckdb", "--warehouse", root}, flags...)...).Output()
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
			t.Errorf("%v: %d exports, %d predictions, %v", flags, exports, predictions, err)
		}
	}
}

package query

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// confinedTo returns a function that runs queries in one database, which is confined.
func confinedTo(t *testing.T, root string) func(text string) (string, error) {
	t.Helper()
	temp := t.TempDir()
	s := session{temp: temp, within: []string{root, temp}}
	db, err := s.open(t.Context(), root, All, func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return func(text string) (string, error) {
		q, err := Parse(text, false)
		if err != nil {
			return "", err
		}
		var b bytes.Buffer
		out, err := NewOutput("-", &b, temp)
		if err != nil {
			return "", err
		}
		return b.String(), errors.Join(q.Run(t.Context(), db, CSV, out), out.Close())
	}
}

// A query reads the warehouse and nothing else, and writes only its result, whatever its
// SQL says, unless external access is allowed.
func TestConfined(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	secret := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("word\nxyzzy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "predictions", "project_id="+project, "iteration_id="+iteration, "data.parquet")
	before, run := tree(t, root), confinedTo(t, root)
	object, inside, outside := escape(file), escape(filepath.Join(root, "new")), escape(filepath.Join(filepath.Dir(secret), "new"))
	for _, text := range []string{
		"FROM read_csv('SECRET')", "FROM read_text('SECRET')", "FROM read_blob('SECRET')", "FROM sniff_csv('SECRET')", "FROM read_csv('ROOT/../../../../../../../etc/passwd')",
		"SELECT * FROM glob('/etc/*')", "FROM glob('SECRET')", "FROM read_parquet('SERVER/x.parquet')", "FROM read_csv('SERVER/x.csv')",
		"CREATE TABLE t AS FROM read_csv('SECRET'); FROM t", "FROM query('FROM read_csv(''SECRET'')')", `FROM "query" ( 'FROM ena' || 'ble_logging(storage := ''stdout'')')`, "SELECT 1; FROM QUERY/**/('SELECT 1')", "CREATE VIEW v AS FROM read_csv('SECRET'); FROM v",
		"COPY images FROM 'SECRET'; SELECT 1",
		"COPY (SELECT 1) TO 'OUTSIDE.csv'", "COPY (SELECT 1) TO 'INSIDE.parquet'", "COPY (SELECT 1) TO 'OBJECT' (USE_TMP_FILE false)", "SELECT 1; /* */ cOpY (SELECT 1) TO 'INSIDE.parquet'; SELECT 2",
		"EXPLAIN COPY (SELECT 1) TO 'INSIDE.csv'", "EXPLAIN ANALYZE COPY (SELECT 1) TO 'INSIDE.csv'", "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO 'INSIDE.csv'",
		"PREPARE p AS COPY (SELECT 1) TO 'INSIDE.csv'; EXECUTE p", "PREPARE p AS /* */ FROM read_csv('SECRET'); EXECUTE p",
		"ATTACH 'OUTSIDE.duckdb' AS a; SELECT 1", "ATTACH 'INSIDE.duckdb' AS a; SELECT 1", "ATTACH IF NOT EXISTS 'OBJECT' AS a; SELECT 1", "ATTACH 'SERVER/x.duckdb' AS a; SELECT 1",
		"EXPORT DATABASE 'INSIDE'; SELECT 1", "IMPORT DATABASE 'ROOT'; SELECT 1", "PRAGMA import_database('ROOT'); SELECT 1", "PRAGMA import_database('/'); SELECT 1",
		"INSTALL httpfs; SELECT 1", "FORCE INSTALL httpfs; SELECT 1", "LOAD httpfs; SELECT 1", "LOAD 'SECRET'; SELECT 1",
		"SET enable_external_access = true; FROM read_csv('SECRET')", "SET allowed_directories = ['/']; FROM read_csv('SECRET')", "SET lock_configuration = false; SELECT 1",
		"SET temp_directory = 'INSIDE'; SELECT 1", "RESET temp_directory; SELECT 1", "SET autoinstall_known_extensions = true; SELECT 1", "SET home_directory = '/'; SELECT 1",
		"SET profiling_output = 'INSIDE'; SELECT 1", "PRAGMA profiling_output = 'INSIDE'; SELECT 1", "SET log_query_path = 'INSIDE'; SELECT 1",
		"CALL enable_logging(storage = 'file', storage_path = 'INSIDE'); SELECT 1", `FROM "ENABLE_LOGGING"(storage = 'file', storage_path = 'INSIDE'); SELECT 1`,
		"CALL enable_profiling(format = 'json', save_location = 'INSIDE.json'); SELECT 1",
		"FROM query('FROM enable_logging(storage = ''file'', storage_path = ''INSIDE'')'); SELECT 1",
	} {
		text = strings.NewReplacer("SECRET", escape(secret), "ROOT", escape(root), "SERVER", server.URL, "OBJECT", object, "INSIDE", inside, "OUTSIDE", outside).Replace(text)
		out, err := run(text)
		if err == nil || !strings.Contains(err.Error(), "--allow-external") || strings.Contains(out, "xyzzy") {
			t.Errorf("%s: %v\n%s", text, err, out)
		}
	}
	// What the environment says is not for SQL at all.
	if _, err := run("SELECT getenv('HOME')"); err == nil {
		t.Error("getenv is allowed")
	}
	if after := tree(t, root); after != before {
		t.Errorf("the warehouse was %s, now it is %s", before, after)
	}
	if left, err := os.ReadDir(filepath.Dir(secret)); err != nil || len(left) != 1 {
		t.Errorf("outside there is %v, %v", left, err)
	}
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// tree lists the files below a folder with size and time.
func tree(t *testing.T, root string) (all string) {
	t.Helper()
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all += fmt.Sprintf("%s %d %v, ", path, info.Size(), info.ModTime())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is about the warehouse works as before, in every format and also if it does not
// fit into memory.
func TestConfinedWorks(t *testing.T) {
	root := newWarehouse(t, "it's [a] warehouse")
	run := confinedTo(t, root)
	for _, text := range []string{
		"SELECT copy, load FROM (SELECT 1 AS copy, 2 AS load)", "SELECT 'COPY x TO y; INSTALL z'", "EXPLAIN SELECT 1", "EXPLAIN (FORMAT json) FROM predictions", "EXPLAIN ANALYZE FROM predictions",
		"PREPARE p AS SELECT 1; EXECUTE p", "WITH copy AS (FROM predictions) FROM copy", "DESCRIBE predictions", "SHOW TABLES", "SUMMARIZE predictions",
		"BEGIN; CREATE TABLE x AS FROM predictions; INSERT INTO x FROM predictions; UPDATE x SET image_id = ''; DELETE FROM x; COMMIT; FROM x",
		"SET TimeZone = 'Europe/Berlin'; SELECT now()", "SET threads = 1; SELECT 1", "SET VARIABLE a = 1; SELECT getvariable('a')", "PRAGMA database_size",
		"PIVOT predictions ON tag_name USING count(*)", "SELECT count(*) FROM predictions WHERE project_id = '" + project + "'",
		"SET memory_limit = '60MB'; SET threads = 1; SELECT count(*) FROM (SELECT hash(i) AS h, repeat('x', 20) FROM range(1500000) AS t(i) ORDER BY h)",
	} {
		if _, err := run(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, format := range []Format{Parquet, CSV} {
		for _, target := range []string{"-", filepath.Join(t.TempDir(), "result")} {
			if _, err := answer(t, root, format, target, "FROM predictions"); err != nil {
				t.Errorf("%s to %s: %v", format, target, err)
			}
		}
	}
	secret := filepath.Join(t.TempDir(), "mine.csv")
	if err := os.WriteFile(secret, []byte("word\nxyzzy\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := answerWith(t, root, CSV, "-", "FROM '"+secret+"'", true); err != nil || !strings.Contains(out, "xyzzy") {
		t.Errorf("allowed, another file gives %q, %v", out, err)
	}
	if _, err := answerWith(t, root, CSV, "-", "COPY (SELECT 1) TO '"+secret+"'", true); err != nil {
		t.Errorf("allowed, COPY gives %v", err)
	}
}

// Files for what does not fit into memory are in the run's folder, wherever it runs.
func TestSpill(t *testing.T) {
	t.Chdir(t.TempDir())
	planted, temp := t.TempDir(), t.TempDir()
	if err := os.Symlink(planted, ".tmp"); err != nil {
		t.Skip("no links here:", err)
	}
	db, err := session{temp: temp, within: []string{temp}}.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var spilled int
	if err := execute(t.Context(), db, []string{"SET memory_limit = '60MB'", "SET threads = 1", "CREATE TEMP TABLE x AS SELECT hash(i), repeat('x', 20) FROM range(5000000) AS t(i)"}); err != nil {
		t.Fatal(err)
	}
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM duckdb_temporary_files() WHERE starts_with(path, $1)", temp).Scan(&spilled); err != nil || spilled == 0 {
		t.Errorf("%d files are in the run's folder, %v", spilled, err)
	}
	if left, err := os.ReadDir(planted); err != nil || len(left) > 0 {
		t.Errorf("what .tmp leads to has %v, %v", left, err)
	}
}

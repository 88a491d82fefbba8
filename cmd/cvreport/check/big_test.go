package check

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestBig writes and opens the report of a large project: 20 iterations, each of
// 20,000 images with a probability for each of 50 tags.
func TestBig(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes 20 million predictions")
	}
	root := bigWarehouse(t)
	path := filepath.Join(t.TempDir(), "report.html")
	cmd := exec.Command(cvreport, "html", "--warehouse", root, "-o", path)
	started := time.Now()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cvreport html: %v\n%s", err, output)
	}
	// A machine may have others at work; what two cores do in 10 s does not change.
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("made in %.1f s, with %.1f s of processor and %d MB", time.Since(started).Seconds(), used.Seconds(), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss/1024)
	if used > 17*time.Second {
		t.Errorf("making it takes %s of processor: in 10 s two cores have 20, of which those that work for others waste some", used)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 5_000_000 {
		t.Errorf("the file has %d bytes", info.Size())
	}
	b := newTab(t)
	b.look(1280, "light")
	b.open("file://" + path)
	opened := read[float64](b, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
	t.Logf("%d bytes, opened in %.0f ms", info.Size(), opened)
	if opened <= 0 || opened > 3000 {
		t.Errorf("it opens in %.0f ms", opened)
	}
	b.press("#threshold", right)
	b.drawn("0.55")
	b.quiet("file://" + path)
}

// bigWarehouse makes two iterations by SQL, and the others of the same files.
func bigWarehouse(t *testing.T) string {
	t.Helper()
	root := exported.Warehouse(t, simulated.Config{Images: 1, Iterations: 20, Tags: 50})
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	folders, err := filepath.Glob(filepath.Join(root, "images", "*", "*"))
	if err != nil || len(folders) != 20 {
		t.Fatalf("%d folders: %v", len(folders), err)
	}
	relative := func(table string, n int) string {
		path, err := filepath.Rel(filepath.Join(root, "images"), folders[n])
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(root, table, path, "data.parquet")
	}
	const image = "concat('00000000-0000-4000-8000-', lpad(i::VARCHAR, 12, '0'))"
	const draw = "(hash(%d, i, n) %% 1000000 / 1e6)"
	for n := range folders {
		for table, query := range map[string]string{
			"images": `SELECT x.* REPLACE (` + image + ` AS image_id, i::INTEGER AS image_index) FROM range(20000) r(i), x`,
			"predictions": fmt.Sprintf(`SELECT x.* REPLACE (`+image+` AS image_id, n::INTEGER AS prediction_index, l.id AS tag_id, l.name AS tag_name,
				CASE WHEN n IN (i %% 50, (i * 7 + 3) %% 50) THEN 1 - pow(`+draw+`, 2) ELSE pow(`+draw+`, 30) END AS probability)
				FROM range(20000) r(i), range(50) s(n), (SELECT * FROM x LIMIT 1) AS x, l WHERE l.t = n`, n, n),
			"tags": `SELECT x.* REPLACE (` + image + ` AS image_id, u::INTEGER AS tag_index, l.id AS tag_id, l.name AS tag_name)
				FROM range(20000) r(i), range(2) v(u), (SELECT * FROM x LIMIT 1) AS x, l WHERE l.t = CASE u WHEN 0 THEN i % 50 ELSE (i * 7 + 3) % 50 END`,
		} {
			file := relative(table, n)
			if n > 1 {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				if err := os.Link(relative(table, n%2), file); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for _, s := range []string{
				"CREATE OR REPLACE TABLE x AS FROM read_parquet('" + file + "', hive_partitioning = false)",
				"CREATE OR REPLACE TABLE l AS SELECT row_number() OVER (ORDER BY tag_id) - 1 AS t, tag_id AS id, tag_name AS name FROM read_parquet('" + relative("tag_performance", 0) + "', hive_partitioning = false)",
				"COPY (" + query + ") TO '" + file + "' (FORMAT parquet, ROW_GROUP_SIZE 500000)",
			} {
				if _, err := db.ExecContext(t.Context(), s); err != nil {
					t.Fatalf("%v, in %s", err, s)
				}
			}
		}
	}
	exported.Rewrite(t, root, "exports", "20000 AS images")
	return root
}

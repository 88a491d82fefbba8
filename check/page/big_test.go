package page

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestBig opens the report of a large project: 20 iterations of 20,000 images, each with
// a probability for each of 50 tags. What the file and the page hold must not grow with
// the number of images, or the page would be slow. BenchmarkBig measures the speed.
func TestBig(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes 20 million predictions")
	}
	path := htmlReport(t, bigWarehouse(t))
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
	const elements = `document.querySelectorAll("*").length`
	closed := read[int](b, elements)
	b.press("#threshold", right)
	b.drawn("0.55")
	b.openEverything()
	opened := read[int](b, elements)
	t.Logf("%d bytes, %d elements, %d with all details open", info.Size(), closed, opened)
	if closed > 10_000 || opened > 20_000 {
		t.Errorf("the page has %d elements, and %d with all details open", closed, opened)
	}
	b.quiet("file://" + path)
}

// BenchmarkBig measures what TestBig looks at: making the report (time, processor time,
// memory), its size, and how long the browser takes to load it.
func BenchmarkBig(b *testing.B) {
	root := bigWarehouse(b)
	path := filepath.Join(b.TempDir(), "report.html")
	var cpu, memory, loaded float64
	for b.Loop() {
		cmd := exec.Command(cvreport, "html", "--warehouse", root, "-o", path)
		if output, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("cvreport html: %v\n%s", err, output)
		}
		cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		memory = max(memory, float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)/1024)
		b.StopTimer()
		tab := newTab(b)
		tab.look(1280, "light")
		tab.open("file://" + path)
		loaded += read[float64](tab, `performance.getEntriesByType("navigation")[0].loadEventEnd`)
		b.StartTimer()
	}
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(cpu/float64(b.N), "cpu-s/op")
	b.ReportMetric(memory, "max-MiB")
	b.ReportMetric(float64(info.Size()), "file-bytes")
	b.ReportMetric(loaded/float64(b.N), "load-ms/op")
}

// bigWarehouse fills two iterations by SQL and links the files of the others to them.
func bigWarehouse(t testing.TB) string {
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
	file := func(table string, n int) string {
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
			path := file(table, n)
			if n > 1 {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				if err := os.Link(file(table, n%2), path); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for _, s := range []string{
				"CREATE OR REPLACE TABLE x AS FROM read_parquet('" + path + "', hive_partitioning = false)",
				"CREATE OR REPLACE TABLE l AS SELECT row_number() OVER (ORDER BY tag_id) - 1 AS t, tag_id AS id, tag_name AS name FROM read_parquet('" + file("tag_performance", 0) + "', hive_partitioning = false)",
				"COPY (" + query + ") TO '" + path + "' (FORMAT parquet, ROW_GROUP_SIZE 500000)",
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

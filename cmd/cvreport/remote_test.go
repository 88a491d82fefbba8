package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

func mustQuery(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, code := runQuery(t, args...)
	if code != exitDone {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	return stdout, stderr
}

// A query on a remote warehouse has the rows of a local copy, and fetches what it needs
// once.
func testQueryRemote(t *testing.T, r *remote) {
	t.Setenv("CVEXPORT_CACHE", filepath.Join(t.TempDir(), "cache"))
	_, stderr, code := runQuery(t, "--warehouse", r.address, "--retries", "0", "FROM exports")
	if code != exitFailed || !strings.Contains(stderr, "it has no export: run cvexport nightly first, or check --warehouse") {
		t.Errorf("empty: exit code %d: %s", code, stderr)
	}
	r.fill(t)
	cached := func(table string) int {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(os.Getenv("CVEXPORT_CACHE"), "*", table, "*", "*", "data.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	out, stderr := mustQuery(t, "--warehouse", r.address, "--format", "csv", "SELECT (SELECT count(*) FROM current_tags) + (SELECT count(*) FROM current_regions) AS n")
	if !strings.HasPrefix(out, "n\n") || out == "n\n0\n" || !strings.Contains(stderr, "cvreport: fetching 6 objects, ") || !strings.Contains(stderr, r.address) {
		t.Errorf("first: %s%s", out, stderr)
	}
	for table, want := range map[string]int{"exports": 2, "tags": 2, "regions": 2, "images": 0, "predictions": 0, "tag_performance": 0} {
		if got := cached(table); got != want {
			t.Errorf("%d objects of %s are in the cache, want %d", got, table, want)
		}
	}
	if again, stderr := mustQuery(t, "--warehouse", r.address, "--format", "csv", "SELECT (SELECT count(*) FROM current_tags) + (SELECT count(*) FROM current_regions) AS n"); again != out || stderr != "" {
		t.Errorf("second: %s%s", again, stderr)
	}
	_, stderr, code = runQuery(t, "--warehouse", r.address, "--offline", "SELECT count(*) AS n FROM images")
	if code != exitDone || !strings.Contains(stderr, "warning: 2 objects that the query reads are not in the cache") {
		t.Errorf("offline, with objects missing: exit code %d: %s", code, stderr)
	}

	same := func(when, shown string, names ...string) {
		t.Helper()
		want, _ := mustQuery(t, "--warehouse", r.copyAll(t), "--format", "csv", r.rows(names...))
		got, _ := mustQuery(t, "--warehouse", r.address, "--quiet", "--format", "csv", r.rows(names...))
		if got != want || !strings.Contains(got, "\n"+shown+",") {
			t.Errorf("%s: %d bytes, want %d", when, len(got), len(want))
		}
	}
	names := slices.Collect(maps.Keys(r.calls()))
	if testing.Short() {
		names = []string{"images", "hardest_images"}
	}
	same("first", "hardest_images", names...)

	// A replacement is seen.
	before, _ := mustQuery(t, "--warehouse", r.address, "SELECT export_id FROM exports ORDER BY 1")
	r.export(t, 0)
	after, stderr := mustQuery(t, "--warehouse", r.address, "SELECT export_id FROM exports ORDER BY 1")
	if before == after || stderr == "" {
		t.Errorf("a replacement is not seen: %s%s", after, stderr)
	}

	// Several queries at once.
	r.export(t, 1)
	var wait sync.WaitGroup
	answers := make([]string, 3)
	for n := range answers {
		wait.Go(func() {
			answers[n], _, _ = runQuery(t, "--warehouse", r.address, "--quiet", "--format", "json", "SELECT export_id, count(*) AS n FROM current_predictions GROUP BY ALL ORDER BY ALL")
		})
	}
	wait.Wait()
	for _, answer := range answers {
		if answer != answers[0] || strings.Count(answer, "export_id") != 2 {
			t.Errorf("at once: %s", answer)
		}
	}
	same("after replacements", "tag_metrics", "images", "current_predictions", "current_labels", "exports", "tag_metrics")

	// A removed iteration is not shown.
	r.remove(t, schema.Exports.Path(r.service.Projects()[0].ID, r.iteration(0)))
	if out, _ := mustQuery(t, "--warehouse", r.address, "--format", "csv", "SELECT count(DISTINCT iteration_id) AS n FROM images"); out != "n\n1\n" {
		t.Errorf("gone: %s", out)
	}
	if got := cached("*"); got != 6 {
		t.Errorf("%d objects are in the cache, want 6", got)
	}

	// A missing object is reported, and visible in export_health.
	r.remove(t, schema.Tags.Path(r.service.Projects()[0].ID, r.iteration(1)))
	t.Setenv("CVEXPORT_CACHE", filepath.Join(t.TempDir(), "other"))
	out, stderr = mustQuery(t, "--warehouse", r.address, "--format", "csv", "SELECT table_name, problem FROM export_health")
	if out != "table_name,problem\ntags,row_count\n" || !strings.Contains(stderr, "warning: project") || !strings.Contains(stderr, "table tags: it is missing; export the iteration again") {
		t.Errorf("a missing object: %s%s", out, stderr)
	}

	// Offline needs no server, but a cache.
	if r.down == nil {
		return
	}
	r.down()
	if out, _ := mustQuery(t, "--warehouse", r.address, "--offline", "--format", "csv", "SELECT count(*) AS n FROM exports"); out != "n\n1\n" {
		t.Errorf("offline: %s", out)
	}
	_, stderr, code = runQuery(t, "--warehouse", r.address+"/elsewhere", "--offline", "FROM exports")
	if code != exitFailed || !strings.Contains(stderr, "run it once without --offline") {
		t.Errorf("offline without a cache: exit code %d: %s", code, stderr)
	}
}

func TestQueryS3(t *testing.T) {
	if testing.Short() {
		t.Skip("TestQueryGCS is the same on another store")
	}
	r := onS3(t)
	testQueryRemote(t, r)
	_, stderr, code := runQuery(t, "--warehouse", r.address, "--retries", "0", "FROM exports")
	if code != exitFailed || !strings.Contains(stderr, "fetch s3://bucket/vision: list table exports: ") || !strings.Contains(stderr, "use --offline") {
		t.Errorf("without a server: exit code %d: %s", code, stderr)
	}
}

func TestQueryGCS(t *testing.T) { testQueryRemote(t, onGCS(t)) }

func TestQueryAzure(t *testing.T) {
	if testing.Short() {
		t.Skip("TestQueryGCS is the same on another store")
	}
	testQueryRemote(t, onAzure(t))
}

// An interrupt while objects are fetched leaves a usable cache.
func TestQueryInterrupted(t *testing.T) {
	r := onGCS(t)
	r.fill(t)
	t.Setenv("CVEXPORT_CACHE", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	root := newRoot()
	root.SetArgs([]string{"query", "--warehouse", r.address, "FROM current_predictions"})
	root.SetOut(io.Discard)
	root.SetErr(writerFunc(func(p []byte) (int, error) {
		cancel() // fetching has begun
		return len(p), nil
	}))
	if err := root.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	const text = "FROM current_predictions ORDER BY ALL"
	want, _ := mustQuery(t, "--warehouse", r.copyAll(t), "--format", "csv", text)
	if got, _ := mustQuery(t, "--warehouse", r.address, "--format", "csv", text); got != want {
		t.Errorf("%d bytes, want %d", len(got), len(want))
	}
}

type writerFunc func([]byte) (int, error)

func (w writerFunc) Write(p []byte) (int, error) { return w(p) }

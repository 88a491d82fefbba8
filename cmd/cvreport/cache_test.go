package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// The cache is one for a warehouse, however its folder is given and the SQL is written, and
// what is not in the warehouse is an error, not an empty answer.
func TestOneCache(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Multiclass, Images: 20, Iterations: 2})
	t.Chdir(filepath.Dir(root))
	cache := t.TempDir()
	t.Setenv("CVEXPORT_CACHE", cache)
	for _, address := range []string{root, root + "/", filepath.Base(root), "./" + filepath.Base(root), "file://" + root, filepath.Dir(root) + "/./" + filepath.Base(root)} {
		if out, _ := mustQuery(t, "--warehouse", address, "--format", "csv", "SELECT count(*) AS n FROM images"); out != "n\n40\n" {
			t.Errorf("%s: %s", address, out)
		}
	}
	if folders, err := os.ReadDir(cache); err != nil || len(folders) != 1 {
		t.Errorf("caches: %v, %v", folders, err)
	}
	const spelled = `SELECT count(*) AS n FROM E'\x69mages'`
	if out, _ := mustQuery(t, "--warehouse", root, "--format", "csv", spelled); out != "n\n40\n" {
		t.Errorf("%s: %s", spelled, out)
	}
	// A file of another table does not matter, whether there is a cache or not.
	files, err := filepath.Glob(filepath.Join(root, "predictions", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{cache, filepath.Join(files[0], "no folder")} {
		out, stderr := mustQuery(t, "--warehouse", root, "--cache", folder, "--format", "csv", "SELECT count(*) AS n FROM images")
		if out != "n\n40\n" || (strings.Contains(stderr, "the cache cannot be used") != (folder != cache)) || strings.Contains(stderr, "damaged") {
			t.Errorf("--cache %s: %s%s", folder, out, stderr)
		}
	}
	const id = "11111111-2222-4333-8444-555555555555"
	for _, flags := range [][]string{{"--iteration", id}, {"--project", id}, {"--project", id, "--iteration", id}} {
		if out, stderr, code := runQuery(t, append(flags, "--warehouse", root, "SELECT 1")...); code != exitUsage || !strings.Contains(stderr, "the warehouse has no ") || !strings.Contains(stderr, id) {
			t.Errorf("%v: exit code %d: %s%s", flags, code, out, stderr)
		}
	}
	if _, stderr, code := runQuery(t, "--warehouse", root, "--max-objects", "1", "FROM images"); code == exitDone || !strings.Contains(stderr, "raise --max-objects") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	_, stderr, _ := runQuery(t, "--warehouse", root, "SELECT error('Corrupt database file')")
	if strings.Contains(stderr, "removed") {
		t.Errorf("SQL can have the cache removed: %s", stderr)
	}
}

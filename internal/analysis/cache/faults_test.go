//go:build linux

package cache_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/schema"
)

// questionVariable makes the test binary ask a question of the warehouse in it, through
// the cache file beside it.
const questionVariable = "CVEXPORT_TEST_QUESTION"

func init() {
	folder, file, asked := strings.Cut(os.Getenv(questionVariable), "|")
	if !asked {
		return
	}
	w := &world{Cache: cache.Cache{Folder: folder, File: file}}
	n, _, err := w.count(context.Background())
	fmt.Println(n, err)
	os.Exit(0)
}

// A process that is killed at any time of a refresh leaves the cache as it was or as it
// is now, and nothing that the next refresh does not remove.
func TestKilledRefresh(t *testing.T) {
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func(ctx context.Context) ([]byte, error) {
		cmd := exec.CommandContext(ctx, self)
		cmd.Env = append(os.Environ(), questionVariable+"="+w.Folder+"|"+w.File)
		return cmd.Output()
	}
	whole := time.Hour
	for range 2 { // the first time, the program may still have to be read from the disk
		began := time.Now()
		if out, err := start(t.Context()); err != nil || string(out) != fmt.Sprintln(w.images, nil) {
			t.Fatalf("%q, %v", out, err)
		}
		whole = min(whole, time.Since(began))
		if err := os.Remove(w.File); err != nil {
			t.Fatal(err)
		}
	}
	kills, killed := 24, 0
	if testing.Short() {
		kills = 3
	}
	files, err := filepath.Glob(filepath.Join(w.Folder, schema.Images.Name, "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range kills {
		if n%2 == 0 { // all of it, or one file
			err = os.Remove(w.File)
		} else {
			err = os.Chtimes(files[0], time.Time{}, time.Now().Add(-time.Hour-time.Duration(n)*time.Minute))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), whole*time.Duration(n+1)/time.Duration(kills))
		if _, err := start(ctx); err != nil {
			killed++
		}
		cancel()
		w.mustCount(t, fmt.Sprint("after kill ", n))
	}
	if killed == 0 {
		t.Error("none was killed")
	}
	settle(t, w)
	w.mustRead(t, "at the end", 0)
	if err := os.Chtimes(files[0], time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.mustRead(t, "one file more", 1)
	if left := entries(t, filepath.Dir(w.File)); !slices.Equal(left, []string{"cache.duckdb", "cache.duckdb.lock"}) {
		t.Errorf("left %v", left)
	}
	t.Logf("FIGURES: %d refreshes, %d of them killed: each answer after it was right", kills, killed)
}

func entries(t *testing.T, folder string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}

// A disk that fills up is an error that says so, and leaves the cache as it was.
func TestFullDisk(t *testing.T) {
	w := newWorld(t)
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", disk).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	w.File = filepath.Join(disk, "folder", "cache.duckdb")
	w.mustCount(t, "with enough space")
	before, err := os.ReadFile(w.File)
	if err != nil {
		t.Fatal(err)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(disk, &fs); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	free := int(fs.Bavail) * int(fs.Bsize)
	files, err := filepath.Glob(filepath.Join(w.Folder, schema.Images.Name, "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for n, left := range []int{0, len(before) / 2, len(before) + 4096} { // for the folder, for the copy, for what is written into it
		if err := os.WriteFile(filler, make([]byte, free-left), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(files[0], time.Time{}, time.Now().Add(-time.Hour-time.Duration(n)*time.Minute)); err != nil {
			t.Fatal(err)
		}
		_, _, err := w.count(t.Context())
		if err == nil || !strings.Contains(err.Error(), "space") {
			t.Errorf("%d bytes left: error %v", left, err)
		}
		if after, err := os.ReadFile(w.File); err != nil || !slices.Equal(after, before) {
			t.Errorf("%d bytes left: the cache has changed: %v", left, err)
		}
		if left := entries(t, filepath.Dir(w.File)); !slices.Equal(left, []string{"cache.duckdb", "cache.duckdb.lock"}) {
			t.Errorf("left %v", left)
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.mustCount(t, "with space again")
}

// What another user owns is not opened, nor written.
func TestAnothersFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the files of others")
	}
	w := newWorld(t)
	w.mustCount(t, "at first")
	const nobody = 65534
	for _, path := range []string{w.File, filepath.Dir(w.File)} {
		if err := os.Lchown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(w.Folder, schema.Exports.Name), time.Time{}, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.count(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s of another user: error %v", path, err)
		}
		if path == w.File {
			if err := os.Remove(path); err != nil { // so that it is to be made
				t.Fatal(err)
			}
		}
	}
}

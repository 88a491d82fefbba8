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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/schema"
)

// questionVariable makes the test binary ask a question of the warehouse in it, through
// the cache file beside it, and kill itself after so many steps of the refresh.
const questionVariable = "CVEXPORT_TEST_QUESTION"

func init() {
	fields := strings.Split(os.Getenv(questionVariable), "|")
	if len(fields) != 3 {
		return
	}
	w := &world{Cache: cache.Cache{Folder: fields[0], File: fields[1]}}
	left, err := strconv.Atoi(fields[2])
	if err != nil {
		panic(err)
	}
	step := func() {
		if left--; left < 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
	}
	w.BeforeCopy(step)
	w.Progress = func(cache.Progress) { step() }
	n, _, err := w.count(context.Background())
	fmt.Println(n, err)
	os.Exit(0)
}

// A process that is killed at any step of a refresh leaves the cache as it was, and
// nothing that the next refresh does not remove.
func TestKilledRefresh(t *testing.T) {
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(w.Folder, "*", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for _, fresh := range []bool{true, false} { // all is to be read, or one iteration anew
		for steps := 0; ; steps++ {
			if fresh {
				err = os.RemoveAll(filepath.Dir(w.File))
			} else {
				w.mustCount(t, "before it")
				for _, file := range files {
					if filepath.Base(filepath.Dir(file)) == filepath.Base(filepath.Dir(files[0])) {
						err = errors.Join(err, os.Chtimes(file, time.Time{}, time.Unix(int64(steps), 0)))
					}
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", questionVariable, w.Folder, w.File, steps))
			out, err := cmd.Output()
			if err == nil { // it has no more steps
				if string(out) != fmt.Sprintln(w.images, nil) {
					t.Errorf("after %d steps: %s", steps, out)
				}
				if steps < 7 { // a look and six tables
					t.Errorf("a refresh has only %d steps", steps)
				}
				break
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("after %d steps: %v: %s", steps, err, out)
			}
			kills++
			w.mustCount(t, fmt.Sprint("killed after steps: ", steps))
			if left := entries(t, filepath.Dir(w.File)); !slices.Equal(left, []string{"cache.duckdb", "cache.duckdb.lock"}) {
				t.Errorf("left %v", left)
			}
		}
	}
	t.Logf("FIGURES: %d refreshes killed, one at each step: each answer after it was right", kills)
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

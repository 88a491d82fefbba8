//go:build linux

package local

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/load/store/storetest"
)

// A disk that fills up while an object is written leaves the old object, and
// nothing beside it.
func TestDiskFillsUp(t *testing.T) {
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	s, err := New(folder)
	if err != nil {
		t.Fatal(err)
	}
	old := storetest.RandomSource(50_000, 1)
	obj, err := s.Put(t.Context(), storetest.Key, old, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), storetest.Key, storetest.RandomSource(300_000, 2), obj.Version)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space for the warehouse") {
		t.Errorf("error %v", err)
	}
	storetest.CheckContent(t, s, storetest.Key, old)
	if files, err := filepath.Glob(filepath.Join(folder, filepath.Dir(storetest.Key), "*")); err != nil || len(files) != 1 {
		t.Errorf("it left %v, %v", files, err)
	}
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(60_000, 3), obj.Version); err != nil {
		t.Errorf("with free space again: %v", err)
	}
}

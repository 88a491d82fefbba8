//go:build linux

package load

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A disk that fills up while an object is written leaves the old object, and
// nothing beside it.
func TestLocalDiskFillsUp(t *testing.T) {
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	s, err := OpenStore(t.Context(), folder)
	if err != nil {
		t.Fatal(err)
	}
	old := randomSource(50_000, 1)
	obj, err := s.Put(t.Context(), localKey, old, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Put(t.Context(), localKey, randomSource(300_000, 2), obj.Version)
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room for the warehouse") {
		t.Errorf("error %v", err)
	}
	holdsSource(t, s, localKey, old)
	if files, err := filepath.Glob(filepath.Join(folder, filepath.Dir(localKey), "*")); err != nil || len(files) != 1 {
		t.Errorf("it left %v, %v", files, err)
	}
	if _, err := s.Put(t.Context(), localKey, randomSource(60_000, 3), obj.Version); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

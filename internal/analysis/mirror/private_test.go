//go:build !windows

package mirror

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A cache is for its owner alone, and what another user has put in its place is refused.
func TestPrivateCache(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "cache")
	for range 2 {
		if _, err := Open(folder, "gs://b"); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{folder, filepath.Dir(folder), filepath.Join(folder, markName)} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
			}
		}
		if err := os.Chmod(folder, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root can give a folder to another user")
	}
	const other = 65534
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Symlink(folder, link), os.Lchown(link, other, other)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link, "gs://b"); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("a link of another user: %v", err)
	}
	if err := os.Chown(folder, other, other); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(folder, "gs://b"); err == nil || !strings.Contains(err.Error(), "another user") {
		t.Errorf("a cache of another user: %v", err)
	}
}

package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A new file is its user's alone, and nothing that has its name is touched or followed.
func TestCreateNew(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "new")
	if err := CreateNew(name, []byte("one")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(name)
	if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	dangling, elsewhere := filepath.Join(folder, "dangling"), filepath.Join(folder, "elsewhere")
	if err := os.Symlink(elsewhere, dangling); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{name, dangling, folder} {
		if err := CreateNew(taken, []byte("two")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", taken, err)
		}
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
	if body, err := os.ReadFile(name); err != nil || string(body) != "one" {
		t.Errorf("%q, %v", body, err)
	}
	if err := CreateNew(filepath.Join(folder, "none", "new"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	// Where there are no hard links.
	if err := createNew(name, nil); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
}

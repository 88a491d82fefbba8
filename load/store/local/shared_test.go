//go:build unix

package local

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/load/store/storetest"
)

const sharedFolder = "CVEXPORT_TEST_SHARED_FOLDER"

// A second user of a folder that both may write to puts objects beside and over those of
// the first, and learns before the first put where that is not allowed.
func TestSharedFolder(t *testing.T) {
	if root := os.Getenv(sharedFolder); root != "" {
		putAsSecondUser(t, root)
		return
	}
	if os.Getuid() != 0 {
		t.Skip("only root can start a program as another user")
	}
	shared := t.TempDir()
	if err := os.Chmod(filepath.Dir(shared), 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(shared, "warehouse")
	for _, folder := range []string{root, filepath.Join(root, "tags"), filepath.Join(root, "tags", "a")} {
		if err := errors.Join(os.Mkdir(folder, 0o777), os.Chmod(folder, 0o777)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{storetest.Key, "images/a/data.parquet"} {
		if _, err := s.Put(t.Context(), key, storetest.RandomSource(100, 1), ""); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(shared, "test")
	self, err := os.ReadFile(os.Args[0])
	if err := errors.Join(err, os.WriteFile(program, self, 0o755)); err != nil {
		t.Fatal(err)
	}
	const nobody = 65534
	second := exec.Command(program, "-test.run=^TestSharedFolder$")
	second.Dir = root
	second.Env = []string{sharedFolder + "=" + root, "TMPDIR=" + root}
	second.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := second.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func putAsSecondUser(t *testing.T, root string) {
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckWrite(t.Context(), 1, storetest.Key, "tags/a/b/data.parquet"); err != nil {
		t.Error(err)
	}
	obj, err := s.Stat(t.Context(), storetest.Key)
	if err == nil {
		_, err = s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 2), obj.Version)
	}
	if err != nil {
		t.Error(err)
	}
	for _, key := range []string{"images/a/data.parquet", "images/b/data.parquet"} { // below a folder that is the first user's
		if err := s.CheckWrite(t.Context(), 1, storetest.Key, key); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", key, err)
		}
	}
	if _, err := s.Put(t.Context(), "images/b/data.parquet", storetest.RandomSource(100, 2), ""); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error = %v", err)
	}
}

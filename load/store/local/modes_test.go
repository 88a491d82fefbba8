//go:build linux

package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cvexport/cvexport/load/store/storetest"
)

// otherReads is a default access list: everything for owner and group, reading for user 65534.
var otherReads = []byte{
	2, 0, 0, 0,
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, // owner rw
	2, 0, 4, 0, 0xfe, 0xff, 0, 0, // user 65534 r
	4, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, // group rw
	16, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, // mask rw
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, // others nothing
}

// Objects and their folders have the mode, group and access list of any new file there.
func TestModes(t *testing.T) {
	const key = "images/project_id=a/data.parquet"
	for name, prepare := range map[string]func(root string) error{
		"plain": func(string) error { return nil },
		"setgid": func(root string) error {
			if os.Getuid() != 0 {
				t.Skip("only root may give a folder to any group")
			}
			return errors.Join(os.Chown(root, -1, 12345), os.Chmod(root, fs.ModeSetgid|0o775))
		},
		"access list": func(root string) error {
			return unix.Setxattr(root, "system.posix_acl_default", otherReads, 0)
		},
	} {
		for _, umask := range []int{0o002, 0o022, 0o077} {
			root := t.TempDir()
			if err := prepare(root); errors.Is(err, unix.ENOTSUP) {
				t.Logf("%s: not on this file system", name)
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			s, err := New(root)
			if err != nil {
				t.Fatal(err)
			}
			old := syscall.Umask(umask)
			obj, err := s.Put(t.Context(), key, storetest.RandomSource(100, 1), "")
			if err == nil {
				_, err = s.Put(t.Context(), key, storetest.RandomSource(100, 2), obj.Version)
			}
			path := filepath.Join(root, filepath.FromSlash(key))
			err = errors.Join(err, os.WriteFile(filepath.Join(filepath.Dir(path), "plain"), nil, 0o666), os.Mkdir(filepath.Join(root, "plain"), 0o777))
			syscall.Umask(old)
			if err != nil {
				t.Fatal(err)
			}
			for got, want := range map[string]string{path: filepath.Join(filepath.Dir(path), "plain"), filepath.Join(root, "images"): filepath.Join(root, "plain")} {
				if got, want := rights(t, got), rights(t, want); got != want {
					t.Errorf("%s, umask %03o: %s has %+v, want %+v", name, umask, filepath.Base(path), got, want)
				}
			}
		}
	}
}

type fileRights struct {
	mode, group uint32
	list        string
}

func rights(t *testing.T, path string) fileRights {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		t.Fatal(err)
	}
	list := make([]byte, 1000)
	n, err := unix.Getxattr(path, "system.posix_acl_access", list)
	if err != nil && !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	return fileRights{s.Mode, s.Gid, string(list[:max(n, 0)])}
}

// In a private warehouse only the owner can open what is made, whatever the umask.
func TestPrivate(t *testing.T) {
	root := t.TempDir()
	s, err := NewPrivate(root)
	if err != nil {
		t.Fatal(err)
	}
	old := syscall.Umask(0)
	_, err = s.Put(t.Context(), "images/a/data.parquet", storetest.RandomSource(100, 1), "")
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if info, infoErr := entry.Info(); path != root && (infoErr != nil || info.Mode().Perm()&0o077 != 0) {
			t.Errorf("%s: %v, %v", path, info.Mode(), infoErr)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Nothing is written or removed through a link that another user has put into the
// warehouse.
func TestPlantedLinks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make links of another user")
	}
	const other = 65534
	root, victim := t.TempDir(), t.TempDir()
	s, err := New(root)
	if err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(root, "images")
	if err := errors.Join(os.Symlink(victim, planted), os.Lchown(planted, other, other), os.WriteFile(filepath.Join(victim, "data.parquet"), []byte("precious"), 0o600)); err != nil {
		t.Fatal(err)
	}
	obj, err := s.Stat(t.Context(), "images/data.parquet")
	if err != nil {
		t.Fatal(err)
	}
	_, putErr := s.Put(t.Context(), "images/data.parquet", storetest.RandomSource(100, 1), obj.Version)
	_, newErr := s.Put(t.Context(), "images/a/data.parquet", storetest.RandomSource(100, 1), "")
	for what, err := range map[string]error{"over an object": putErr, "a new object": newErr, "removing": s.Remove(t.Context(), "images/data.parquet", obj.Version)} {
		if err == nil || !strings.Contains(err.Error(), "another user") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if entries, err := os.ReadDir(victim); err != nil || len(entries) != 1 {
		t.Errorf("the folder that it leads to has %v, %v", entries, err)
	}
	// An object that is a link is replaced, and what it led to is left alone.
	target := filepath.Join(victim, "data.parquet")
	link := filepath.Join(root, "tags", "data.parquet")
	if err := errors.Join(os.Mkdir(filepath.Dir(link), 0o777), os.Symlink(target, link), os.Lchown(link, other, other)); err != nil {
		t.Fatal(err)
	}
	obj, err = s.Stat(t.Context(), "tags/data.parquet")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "tags/data.parquet", storetest.RandomSource(100, 1), obj.Version); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(target); err != nil || string(text) != "precious" {
		t.Errorf("what a link led to is %q, %v", text, err)
	}
}

//go:build !windows

package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A run's folder is for its user alone, whatever the umask, and goes with the run.
func TestFolder(t *testing.T) {
	in := t.TempDir()
	f, err := NewFolder(in)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(f.Path())
	if err != nil || info.Mode() != fs.ModeDir|ownerDir {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(filepath.Join(f.Path(), "rows"), nil, owner); err != nil {
		t.Fatal(err)
	}
	second, err := NewFolder(in)
	if err != nil || second.Path() == f.Path() {
		t.Fatalf("%v, %v", second, err)
	}
	if _, err := os.Lstat(filepath.Join(f.Path(), "rows")); err != nil {
		t.Errorf("a second run removed what the first one has: %v", err)
	}
	if err := errors.Join(f.Close(), f.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(in); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	fifo := filepath.Join(in, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(fifo); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("in a FIFO: %v", err)
	}
	if _, err := NewFolder(filepath.Join(in, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is none: %v", err)
	}
}

// What a killed run has left is removed by the next one; what only looks like it is not.
func TestAbandoned(t *testing.T) {
	in, elsewhere := t.TempDir(), t.TempDir()
	kept := map[string]func(path string) error{
		"of another user": func(path string) error {
			if os.Getuid() != 0 {
				return os.Mkdir(path, 0o755)
			}
			return errors.Join(os.Mkdir(path, ownerDir), os.Chown(path, 65534, 65534))
		},
		"open to others": func(path string) error { return errors.Join(os.Mkdir(path, 0o755), os.Chmod(path, 0o755)) },
		"a link":         func(path string) error { return os.Symlink(elsewhere, path) },
		"a file":         func(path string) error { return os.WriteFile(path, nil, owner) },
	}
	for name, make := range kept {
		if err := make(filepath.Join(in, prefix+name)); err != nil {
			t.Fatal(err)
		}
	}
	victim := filepath.Join(elsewhere, "victim")
	if err := os.WriteFile(victim, []byte("precious"), owner); err != nil {
		t.Fatal(err)
	}
	removed := map[string]func(path string) error{
		"killed": func(path string) error {
			return errors.Join(os.Mkdir(path, ownerDir), os.WriteFile(path+"/"+lockName, nil, owner), os.WriteFile(path+"/rows", nil, owner))
		},
		"killed at once": func(path string) error { return os.Mkdir(path, ownerDir) },
		"with a link": func(path string) error {
			return errors.Join(os.Mkdir(path, ownerDir), os.Symlink(elsewhere, path+"/out"), os.Symlink(victim, path+"/file"))
		},
	}
	for name, make := range removed {
		if err := make(filepath.Join(in, prefix+name)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := NewFolder(in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name := range kept {
		if _, err := os.Lstat(filepath.Join(in, prefix+name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range removed {
		if _, err := os.Lstat(filepath.Join(in, prefix+name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text, err := os.ReadFile(victim); err != nil || string(text) != "precious" {
		t.Errorf("what a link led to is %q, %v", text, err)
	}
}

// masked runs do under a umask.
func masked(umask int, do func()) {
	old := syscall.Umask(umask)
	defer syscall.Umask(old)
	do()
}

// What was asked for has the mode and group of any new file of its folder.
func TestReplaceModes(t *testing.T) {
	for _, umask := range []int{0o002, 0o022, 0o077} {
		for _, setgid := range []bool{false, true} {
			if setgid && os.Getuid() != 0 {
				continue // only root may give a folder to any group
			}
			folder := t.TempDir()
			if setgid {
				if err := errors.Join(os.Chown(folder, -1, 12345), os.Chmod(folder, fs.ModeSetgid|0o775)); err != nil {
					t.Fatal(err)
				}
			}
			name := filepath.Join(folder, "report.json")
			masked(umask, func() {
				for _, text := range []string{"old", "new"} {
					if err := Replace(name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(filepath.Join(folder, "plain"), nil, resultMode); err != nil {
					t.Fatal(err)
				}
			})
			got, want := stat(t, name), stat(t, filepath.Join(folder, "plain"))
			if got.Mode != want.Mode || got.Gid != want.Gid {
				t.Errorf("umask %03o, setgid %v: mode %o of group %d, want %o of %d", umask, setgid, got.Mode, got.Gid, want.Mode, want.Gid)
			}
			if text, err := os.ReadFile(name); err != nil || string(text) != "new" {
				t.Errorf("it holds %q, %v", text, err)
			}
			if left, err := os.ReadDir(folder); err != nil || len(left) != 2 {
				t.Errorf("it left %v, %v", left, err)
			}
		}
	}
}

func stat(t *testing.T, path string) *syscall.Stat_t {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t)
}

// A file that cannot be written leaves the old one, and nothing beside it.
func TestReplaceFails(t *testing.T) {
	folder := t.TempDir()
	name, wrong := filepath.Join(folder, "report.json"), errors.New("wrong")
	if err := os.WriteFile(name, []byte("old"), owner); err != nil {
		t.Fatal(err)
	}
	if err := Replace(name, func(io.Writer) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("error = %v", err)
	}
	if err := Replace(folder, func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "give another name") {
		t.Errorf("a folder: %v", err)
	}
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), owner); err != nil {
		t.Fatal(err)
	}
	if err := Replace(filepath.Join(folder, "pipe"), func(io.Writer) error { return nil }); err == nil || !strings.Contains(err.Error(), "give another name") {
		t.Errorf("a pipe: %v", err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "old" {
		t.Errorf("it holds %q, %v", text, err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 2 {
		t.Errorf("it left %v, %v", left, err)
	}
}

// Links are followed if their owner could have written there anyway.
func TestCheckLinks(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make links of other users")
	}
	const other, third = 65534, 65533
	base := t.TempDir()
	folder := func(name string, uid int) string {
		path := filepath.Join(base, name)
		if err := errors.Join(os.Mkdir(path, 0o755), os.Chown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(path, to string, uid int) string {
		if err := errors.Join(os.Symlink(to, path), os.Lchown(path, uid, uid)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	target := folder("target", 0)
	sticky, theirs := folder("sticky", 0), folder("theirs", other)
	planted := link(sticky+"/planted", target, other)
	for name, tc := range map[string]struct {
		path string
		ok   bool
	}{
		"no link":                     {target + "/out.html", true},
		"nothing there":               {base + "/a/b/c", true},
		"own":                         {link(sticky+"/own", target, 0), true},
		"of the folder's owner":       {link(theirs+"/his", target, other), true},
		"of another":                  {planted, false},
		"of another, to nothing":      {link(sticky+"/dangling", base+"/none", other), false},
		"of another, in his folder":   {link(theirs+"/third", target, third), false},
		"below one of another":        {planted + "/out.html", false},
		"own that leads to another's": {link(base+"/chain", "sticky/planted/x", 0), false},
		"own that leads back":         {link(base+"/loop", "loop", 0), false},
	} {
		if err := CheckLinks(tc.path); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	name := filepath.Join(target, "secret")
	if err := os.WriteFile(name, []byte("old"), owner); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link(sticky+"/report.json", name, other), func(io.Writer) error { return nil }); err == nil {
		t.Error("a file was written through a link of another user")
	}
	if err := Replace(link(sticky+"/mine.json", name, 0), func(w io.Writer) error { _, err := fmt.Fprint(w, "new"); return err }); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "new" {
		t.Errorf("what one's own link leads to holds %q, %v", text, err)
	}
	if err := CheckOwn(theirs); err == nil {
		t.Error("another user's folder was taken for one's own")
	}
}

// A lock is for those who may write to its folder, and for nobody else.
func TestLock(t *testing.T) {
	for mode, want := range map[fs.FileMode]fs.FileMode{0o700: 0o600, 0o755: 0o600, 0o775: 0o660, 0o777: 0o666} {
		folder := t.TempDir()
		path := filepath.Join(folder, ".lock")
		if err := os.Chmod(folder, mode); err != nil {
			t.Fatal(err)
		}
		masked(0o077, func() {
			for range 2 {
				lock, err := Lock(path)
				if err != nil {
					t.Fatal(err)
				}
				if locked, err := lock.TryLock(); !locked || err != nil {
					t.Errorf("in a folder of mode %o: %v, %v", mode, locked, err)
				}
				lock.Close()
			}
		})
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("in a folder of mode %o it is %v, %v", mode, info.Mode(), err)
		}
		if err := errors.Join(os.Remove(path), os.Symlink(filepath.Join(folder, "none"), path)); err != nil {
			t.Fatal(err)
		}
		if _, err := Lock(path); err == nil {
			t.Error("a link was taken for a lock")
		}
	}
}

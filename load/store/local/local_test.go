package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Test(t, func(t *testing.T) store.Store {
		s, err := New(filepath.Join(t.TempDir(), "not", "there yet"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func newWithObject(t *testing.T) (*Store, store.Object, string) {
	t.Helper()
	s, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	obj, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 1), "")
	if err != nil {
		t.Fatal(err)
	}
	return s, obj, filepath.Join(s.root, filepath.FromSlash(storetest.Key))
}

// A writer that died leaves its temporary file; the next one removes it, and
// no glob reads either it or the lock.
func TestRemovesWhatADeadWriterLeft(t *testing.T) {
	s, obj, path := newWithObject(t)
	temp, err := s.begin(t.Context(), path, []store.Object{obj})
	if err != nil {
		t.Fatal(err)
	}
	left := temp.Name()
	if err := temp.Close(); err != nil { // as the system does when the writer dies
		t.Fatal(err)
	}
	for _, name := range []string{left, lockName} {
		if strings.HasSuffix(name, ".parquet") {
			t.Errorf("a glob would read %s", name)
		}
	}
	for obj, err := range s.List(t.Context(), "") {
		if err != nil || obj.Key != storetest.Key {
			t.Errorf("listed %+v, %v", obj, err)
		}
	}
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(70, 3), obj.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// A clock that was set back must not make two versions one.
func TestVersionGrowsWithTheClockSetBack(t *testing.T) {
	s, _, path := newWithObject(t)
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stat(t.Context(), storetest.Key)
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 2), before.Version)
	if err != nil || after.Version == before.Version {
		t.Errorf("version %s, was %s; %v", after.Version, before.Version, err)
	}
}

// A full disk, and whatever else ends a copy, leaves the old object alone.
func TestFailedCopyLeavesNothing(t *testing.T) {
	s, obj, path := newWithObject(t)
	broken := errors.New("input/output error")
	if _, err := s.Put(t.Context(), storetest.Key, failing{storetest.RandomSource(100, 2), broken}, obj.Version); !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
	if now, err := s.Stat(t.Context(), storetest.Key); err != nil || now.Version != obj.Version {
		t.Errorf("it is %+v, %v; was %+v", now, err, obj)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

type failing struct {
	store.BytesSource
	err error
}

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write anywhere")
	}
	s, obj, path := newWithObject(t)
	if err := os.Chmod(filepath.Dir(path), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o755) })
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(1, 1), obj.Version); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error = %v", err)
	}
}

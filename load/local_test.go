package load

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestLocalStore(t *testing.T) {
	testStore(t, func(t *testing.T) Store {
		s, err := newLocal(filepath.Join(t.TempDir(), "not", "there yet"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

const localKey = "tags/a/data.parquet"

func newLocalWithObject(t *testing.T) (*local, Object, string) {
	t.Helper()
	s, err := newLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	obj, err := s.Put(t.Context(), localKey, randomSource(100, 1), "")
	if err != nil {
		t.Fatal(err)
	}
	return s, obj, filepath.Join(s.root, filepath.FromSlash(localKey))
}

// A writer that died leaves its temporary file; the next one removes it, and
// no glob reads either it or the lock.
func TestLocalRemovesWhatADeadWriterLeft(t *testing.T) {
	s, obj, path := newLocalWithObject(t)
	left, err := copyToTemp(t.Context(), filepath.Dir(path), randomSource(50, 2), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{left, lockName} {
		if strings.HasSuffix(name, ".parquet") {
			t.Errorf("a glob would read %s", name)
		}
	}
	for obj, err := range s.List(t.Context(), "") {
		if err != nil || obj.Key != localKey {
			t.Errorf("listed %+v, %v", obj, err)
		}
	}
	if _, err := s.Put(t.Context(), localKey, randomSource(70, 3), obj.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// A clock that was set back must not make two versions one.
func TestLocalVersionGrowsWithTheClockSetBack(t *testing.T) {
	s, _, path := newLocalWithObject(t)
	future := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, future, future); err != nil {
		t.Fatal(err)
	}
	before, err := s.Stat(t.Context(), localKey)
	if err != nil {
		t.Fatal(err)
	}
	after, err := s.Put(t.Context(), localKey, randomSource(100, 2), before.Version)
	if err != nil || after.Version == before.Version {
		t.Errorf("version %s, was %s; %v", after.Version, before.Version, err)
	}
}

// A full disk, and whatever else ends a copy, leaves the old object alone.
func TestLocalFailedCopyLeavesNothing(t *testing.T) {
	s, obj, path := newLocalWithObject(t)
	broken := errors.New("input/output error")
	if _, err := s.Put(t.Context(), localKey, failing{randomSource(100, 2), broken}, obj.Version); !errors.Is(err, broken) {
		t.Errorf("error = %v", err)
	}
	if now, err := s.Stat(t.Context(), localKey); err != nil || now.Version != obj.Version {
		t.Errorf("it is %+v, %v; was %+v", now, err, obj)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

type failing struct {
	bytesSource
	err error
}

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestLocalReadOnlyFolder(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write anywhere")
	}
	s, obj, path := newLocalWithObject(t)
	if err := os.Chmod(filepath.Dir(path), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Dir(path), 0o755) })
	if _, err := s.Put(t.Context(), localKey, randomSource(1, 1), obj.Version); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error = %v", err)
	}
}

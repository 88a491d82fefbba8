package local

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
)

// Nobody who has files of the warehouse open keeps an object from being replaced, and
// goes on reading the old one.
func TestPutUnderReaders(t *testing.T) {
	s, obj, _ := newWithObject(t)
	other := "tags/b/data.parquet"
	if _, err := s.Put(t.Context(), other, storetest.RandomSource(100, 2), ""); err != nil {
		t.Fatal(err)
	}
	var readers []io.ReadCloser
	for _, key := range []string{storetest.Key, other} {
		r, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		readers = append(readers, r)
	}
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 3), obj.Version); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "images/b/data.parquet", storetest.RandomSource(100, 4), ""); err != nil {
		t.Fatal(err)
	}
	storetest.CheckContent(t, s, storetest.Key, storetest.RandomSource(100, 3))
	got, err := io.ReadAll(readers[0])
	want := make([]byte, 100)
	if _, err := storetest.RandomSource(100, 1).ReadAt(want, 0); err != nil {
		t.Fatal(err)
	}
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the reader has other bytes than it opened: %v", err)
	}
}

// slow is a source that says when it is read, and waits before it goes on.
type slow struct {
	store.BytesSource
	reading func()
	proceed chan struct{}
}

func (s slow) ReadAt(p []byte, off int64) (int, error) {
	s.reading()
	<-s.proceed
	return s.BytesSource.ReadAt(p, off)
}

// A writer that is still copying holds up no other, and loses no file to one. If another
// writer replaces the object meanwhile, the slow one loses.
func TestPutWhileAnotherCopies(t *testing.T) {
	s, obj, path := newWithObject(t)
	reading, proceed := make(chan struct{}), make(chan struct{})
	src := slow{storetest.RandomSource(100, 2), sync.OnceFunc(func() { close(reading) }), proceed}
	ended := make(chan error)
	go func() {
		_, err := s.Put(t.Context(), storetest.Key, src, obj.Version)
		ended <- err
	}()
	<-reading
	if _, err := s.Put(t.Context(), "images/b/data.parquet", storetest.RandomSource(100, 3), ""); err != nil {
		t.Errorf("another object: %v", err)
	}
	if _, err := s.Put(t.Context(), filepath.ToSlash(filepath.Dir(storetest.Key))+"/other.parquet", storetest.RandomSource(100, 4), ""); err != nil {
		t.Errorf("another object of the folder: %v", err)
	}
	temps := func() []string {
		found, err := filepath.Glob(filepath.Join(filepath.Dir(path), TempPrefix+"*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if left := temps(); len(left) != 1 {
		t.Errorf("the slow writer's file is not the one that is left: %q", left)
	}
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 5), obj.Version); err != nil {
		t.Errorf("the same object: %v", err)
	}
	close(proceed)
	if err := <-ended; !errors.Is(err, store.ErrConflict) {
		t.Errorf("the slow writer: %v", err)
	}
	storetest.CheckContent(t, s, storetest.Key, storetest.RandomSource(100, 5))
	if left := temps(); len(left) != 0 {
		t.Errorf("it left %q", left)
	}
}

// What another writer puts while the content is copied counts, whichever object it is.
func TestPutComparesOthersLast(t *testing.T) {
	s, obj, path := newWithObject(t)
	const key = "images/b/data.parquet"
	src := slow{storetest.RandomSource(100, 2), sync.OnceFunc(func() {
		if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 3), obj.Version); err != nil {
			t.Error(err)
		}
	}), closed()}
	if _, err := s.Put(t.Context(), key, src, "", obj); !errors.Is(err, store.ErrConflict) {
		t.Errorf("error = %v", err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was written: %v", err)
	}
	storetest.CheckContent(t, s, storetest.Key, storetest.RandomSource(100, 3))
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

func closed() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// What somebody put in the place of the lock is neither followed nor changed.
func TestLockIsNoLink(t *testing.T) {
	s, obj, _ := newWithObject(t)
	lock := filepath.Join(s.root, lockName)
	for name, target := range map[string]string{"a file": filepath.Join(t.TempDir(), "secret"), "nothing": filepath.Join(t.TempDir(), "none")} {
		if name == "a file" {
			if err := os.WriteFile(target, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(os.Remove(lock), os.Symlink(target, lock)); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckWrite(t.Context(), 1); err == nil {
			t.Errorf("a link to %s: no error before a put", name)
		}
		if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 2), obj.Version); err == nil || !strings.Contains(err.Error(), lockName) {
			t.Errorf("a link to %s: %v", name, err)
		}
		info, err := os.Stat(target)
		if name == "nothing" && !errors.Is(err, fs.ErrNotExist) || name == "a file" && (err != nil || info.Mode().Perm() != 0o600) {
			t.Errorf("the target of a link to %s is now %v, %v", name, info, err)
		}
	}
}

// A folder that is named like a temporary file is somebody's, and is left alone.
func TestFolderNamedLikeTemporaryFile(t *testing.T) {
	s, obj, path := newWithObject(t)
	theirs := filepath.Join(filepath.Dir(path), TempPrefix+"x")
	if err := os.Mkdir(theirs, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 2), obj.Version); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
}

func TestCheckWrite(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "not", "there yet"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckWrite(t.Context(), 1000); err != nil {
		t.Error(err)
	}
	if err := s.CheckWrite(t.Context(), math.MaxInt64); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("more than any disk has: %v", err)
	} else {
		storetest.CheckError(t, err, "bytes are free", "free some space")
	}
}

func TestRemove(t *testing.T) {
	s, obj, _ := newWithObject(t)
	now, err := s.Put(t.Context(), storetest.Key, storetest.RandomSource(100, 2), obj.Version)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), storetest.Key, obj.Version); err != nil {
		t.Fatal(err)
	}
	storetest.CheckContent(t, s, storetest.Key, storetest.RandomSource(100, 2)) // the newer one stays
	for range 2 {
		if err := s.Remove(t.Context(), storetest.Key, now.Version); err != nil {
			t.Fatal(err)
		}
	}
	for obj := range s.List(t.Context(), "") {
		t.Errorf("%+v is still there", obj)
	}
}

// Package storetest tests stores: each of them has to pass [Test]. It also has a store
// in memory for tests of what is built on stores.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// Key is a key for tests.
const Key = "tags/a/data.parquet"

// RandomSource returns n bytes that depend on n and the seed alone.
func RandomSource(n int, seed uint64) store.BytesSource {
	body := make([]byte, n)
	random := rand.New(rand.NewPCG(uint64(n), seed))
	for i := range body {
		body[i] = byte(random.Uint32())
	}
	return store.NewBytesSource(body)
}

// liar is a source whose checksum is not that of its bytes.
type liar struct{ store.BytesSource }

func (l liar) CRC32C() uint32 { return l.BytesSource.CRC32C() + 1 }

func content(t *testing.T, src store.Source) []byte {
	t.Helper()
	body, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// CheckContent fails the test unless the object is the source, whole. It returns the
// object, summed.
func CheckContent(t *testing.T, s store.Store, key string, want store.Source) store.Object {
	t.Helper()
	obj, err := s.Stat(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	version := obj.Version
	if obj, err = store.Sum(t.Context(), s, obj); err != nil {
		t.Fatal(err)
	}
	if obj.Key != key || obj.Size != want.Size() || obj.CRC32C != want.CRC32C() || version == "" {
		t.Errorf("Stat(%s) = %+v, want %d bytes, crc32c %d", key, obj, want.Size(), want.CRC32C())
	}
	r, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content(t, want)) {
		t.Errorf("%s has other bytes than were put", key)
	}
	return obj
}

func checkAbsent(t *testing.T, s store.Store, key string) {
	t.Helper()
	if obj, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Stat(%s) = %+v, %v; want that it does not exist", key, obj, err)
	}
	if r, err := s.Open(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			r.Close()
		}
		t.Errorf("Open(%s): %v; want that it does not exist", key, err)
	}
}

// Test tests what every store must do.
func Test(t *testing.T, open func(t *testing.T) store.Store) {
	const key = "images/project_id=p/iteration_id=i/data.parquet"
	small, other, large := RandomSource(1000, 1), RandomSource(900, 2), RandomSource(1_000_000, 3)
	must := func(t *testing.T, s store.Store, src store.Source, old string) store.Object {
		t.Helper()
		obj, err := s.Put(t.Context(), key, src, old)
		if err != nil {
			t.Fatal(err)
		}
		if found := CheckContent(t, s, key, src); found != obj {
			t.Errorf("Put = %+v, Stat = %+v", obj, found)
		}
		return obj
	}
	t.Run("put, and put over it", func(t *testing.T) {
		s := open(t)
		checkAbsent(t, s, key)
		versions := map[string]bool{}
		old := ""
		for _, src := range []store.Source{small, large, other, store.NewBytesSource(nil)} {
			old = must(t, s, src, old).Version
			if versions[old] {
				t.Errorf("version %s twice", old)
			}
			versions[old] = true
		}
		old = must(t, s, small, old).Version
		must(t, s, small, old) // the same again
	})
	t.Run("read at an offset", func(t *testing.T) {
		s := open(t)
		must(t, s, large, "")
		r, err := s.OpenAt(t.Context(), key)
		if errors.Is(err, errors.ErrUnsupported) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 10)
		if _, err := r.ReadAt(got, large.Size()-10); err != nil || !bytes.Equal(got, content(t, large)[large.Size()-10:]) {
			t.Errorf("read %x, %v", got, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := s.OpenAt(t.Context(), "tags/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a missing object: %v", err)
		}
	})
	t.Run("a little can be written", func(t *testing.T) {
		if err := open(t).CheckWrite(t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
	t.Run("conflicts change nothing", func(t *testing.T) {
		s := open(t)
		if _, err := s.Put(t.Context(), key, small, "123"); !errors.Is(err, store.ErrConflict) {
			t.Errorf("put over a missing object: %v", err)
		}
		checkAbsent(t, s, key)
		first := must(t, s, small, "")
		second := must(t, s, other, first.Version)
		for name, old := range map[string]string{"not to exist": "", "an older version": first.Version} {
			if _, err := s.Put(t.Context(), key, large, old); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), "data.parquet") {
				t.Errorf("put that expects it %s: %v", name, err)
			}
			if now := CheckContent(t, s, key, other); now != second {
				t.Errorf("after a conflict: %+v, was %+v", now, second)
			}
		}
	})
	t.Run("other objects have to be as expected", func(t *testing.T) {
		s := open(t)
		first := must(t, s, small, "")
		for name, wrong := range map[string]store.Object{
			"missing":      {Key: "tags/none", Version: first.Version},
			"there":        {Key: key},
			"of a version": {Key: key, Version: first.Version + "0"},
		} {
			if _, err := s.Put(t.Context(), Key, other, "", first, wrong); !errors.Is(err, store.ErrConflict) || !strings.Contains(err.Error(), wrong.Key) {
				t.Errorf("another object is not %s: %v", name, err)
			}
			checkAbsent(t, s, Key)
		}
		if _, err := s.Put(t.Context(), Key, other, "", first, store.Object{Key: "tags/none"}); err != nil {
			t.Error(err)
		}
		CheckContent(t, s, Key, other)
	})
	t.Run("one of two racing puts wins", func(t *testing.T) {
		s := open(t)
		sources := []store.Source{RandomSource(300_000, 4), RandomSource(300_000, 5)}
		errs := make([]error, len(sources))
		var wait sync.WaitGroup
		for i, src := range sources {
			wait.Go(func() { _, errs[i] = s.Put(t.Context(), key, src, "") })
		}
		wait.Wait()
		switch {
		case errs[0] == nil && errors.Is(errs[1], store.ErrConflict):
			CheckContent(t, s, key, sources[0])
		case errs[1] == nil && errors.Is(errs[0], store.ErrConflict):
			CheckContent(t, s, key, sources[1])
		default:
			t.Errorf("errors = %v", errs)
		}
	})
	t.Run("damaged content is never seen", func(t *testing.T) {
		s := open(t)
		for _, src := range []store.BytesSource{small, large} {
			if _, err := s.Put(t.Context(), key, liar{src}, ""); err == nil {
				t.Error("no error")
			}
			checkAbsent(t, s, key)
		}
	})
	t.Run("a cancelled put changes nothing", func(t *testing.T) {
		s := open(t)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := s.Put(ctx, key, cancelling{large, cancel}, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		checkAbsent(t, s, key)
		must(t, s, small, "")
	})
	t.Run("list", func(t *testing.T) {
		s := open(t)
		keys := []string{"exports/a/data.parquet", "images/a/data.parquet", "images/b/data.parquet", "tags/a/data.parquet"}
		for i := len(keys) - 1; i >= 0; i-- {
			if _, err := s.Put(t.Context(), keys[i], RandomSource(10+i, 1), ""); err != nil {
				t.Fatal(err)
			}
		}
		for prefix, want := range map[string][]string{"": keys, "images/": keys[1:3], "images/b": keys[2:3], "none/": nil} {
			var got []string
			for obj, err := range s.List(t.Context(), prefix) {
				if err != nil {
					t.Fatal(err)
				}
				stat, err := s.Stat(t.Context(), obj.Key)
				if err != nil || obj.Size != stat.Size || obj.Version != stat.Version {
					t.Errorf("listed %+v, is %+v, %v", obj, stat, err)
				}
				got = append(got, obj.Key)
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("List(%q) = %v, want %v", prefix, got, want)
			}
		}
		for range s.List(t.Context(), "") {
			break // a caller may stop early
		}
	})
	t.Run("an empty warehouse has no objects", func(t *testing.T) {
		for obj, err := range open(t).List(t.Context(), "exports/") {
			t.Errorf("listed %+v, %v", obj, err)
		}
	})
	t.Run("keys stay inside", func(t *testing.T) {
		s := open(t)
		for _, bad := range []string{"", "../x", "a/../../x", "/etc/x", "a//b", "a/./b", `a\b`, "a\x00b"} {
			if _, err := s.Put(t.Context(), bad, small, ""); err == nil {
				t.Errorf("Put(%q) worked", bad)
			}
			if _, err := s.Stat(t.Context(), bad); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat(%q): %v", bad, err)
			}
			if _, err := s.OpenAt(t.Context(), bad); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("OpenAt(%q): %v", bad, err)
			}
			if _, err := s.Open(t.Context(), bad); err == nil || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open(%q): %v", bad, err)
			}
		}
	})
}

// cancelling cancels its reader when it is read beyond its beginning.
type cancelling struct {
	store.BytesSource
	cancel func()
}

func (c cancelling) ReadAt(p []byte, off int64) (int, error) {
	if off > 0 {
		c.cancel()
	}
	return c.BytesSource.ReadAt(p, off)
}

// CheckError fails the test unless there is an error that contains all of the texts.
func CheckError(t *testing.T, err error, all ...string) {
	t.Helper()
	for _, want := range all {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v; want that it says %q", err, want)
		}
	}
}

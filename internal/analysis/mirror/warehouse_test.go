package mirror

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
)

// watched is a warehouse whose reads are counted, and can be meddled with.
type watched struct {
	store.Store

	mu     sync.Mutex
	opened []string
	asked  []string               // the keys of all requests but listings
	hidden string                 // a part of the keys of objects that are not there
	onOpen func(key string) error // it may fail
	cut    string                 // the body of this object breaks off
}

func (w *watched) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	w.mu.Lock()
	w.opened = append(w.opened, key)
	w.asked = append(w.asked, key)
	onOpen, cut := w.onOpen, w.cut
	w.mu.Unlock()
	if w.isHidden(key) {
		return nil, storetest.Missing("open", key)
	}
	if onOpen != nil {
		if err := onOpen(key); err != nil {
			return nil, err
		}
	}
	body, err := w.Store.Open(ctx, key)
	if err == nil && key == cut {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(body, 500), storetest.FailingReader{Err: storetest.ErrBroken}), body}, nil
	}
	return body, err
}

func (w *watched) isHidden(key string) bool { return w.hidden != "" && strings.Contains(key, w.hidden) }

func (w *watched) Stat(ctx context.Context, key string) (store.Object, error) {
	w.mu.Lock()
	w.asked = append(w.asked, key)
	w.mu.Unlock()
	if w.isHidden(key) {
		return store.Object{}, storetest.Missing("stat", key)
	}
	return w.Store.Stat(ctx, key)
}

func (w *watched) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for obj, err := range w.Store.List(ctx, prefix) {
			if err == nil && w.isHidden(obj.Key) {
				continue
			}
			if !yield(obj, err) {
				return
			}
		}
	}
}

// openedSince returns the keys that were opened since it was last asked, but
// for the exports records.
func (w *watched) openedSince() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var data []string
	for _, key := range w.opened {
		if !strings.HasPrefix(key, "exports/") {
			data = append(data, key)
		}
	}
	w.opened, w.asked = nil, nil
	slices.Sort(data)
	return data
}

func every(string) bool { return true }

func newCache(t *testing.T) *Cache {
	t.Helper()
	c, err := Open(filepath.Join(t.TempDir(), "below", "cache"), "the warehouse")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Cache) mustUpdate(t *testing.T, from store.Store, want func(string) bool) Updated {
	t.Helper()
	updated, err := c.Update(t.Context(), from, want, nil)
	if err != nil {
		t.Fatal(err)
	}
	return updated
}

// files are all files of the cache but its mark and its lock.
func (c *Cache) files(t *testing.T) []string {
	t.Helper()
	var keys []string
	err := filepath.WalkDir(c.Folder(), func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !slices.Contains([]string{markName, knownName, comparedName, ".cvexport.lock"}, entry.Name()) {
			key, relErr := filepath.Rel(c.Folder(), path)
			keys, err = append(keys, filepath.ToSlash(key)), relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// contains fails the test unless the cache holds exactly these objects, as they are in
// the warehouse.
func (c *Cache) contains(t *testing.T, from store.Store, keys ...string) {
	t.Helper()
	if w, ok := from.(*watched); ok {
		from = w.Store
	}
	keys = slices.Sorted(slices.Values(keys))
	if got := c.files(t); !slices.Equal(got, keys) {
		t.Errorf("the cache holds %v, want %v", got, keys)
	}
	for _, key := range keys {
		var bodies [2][]byte
		for i, s := range []store.Store{from, c.store} {
			body, err := readAll(t.Context(), s, key)
			if err != nil {
				t.Fatal(err)
			}
			bodies[i] = body
		}
		if !bytes.Equal(bodies[0], bodies[1]) {
			t.Errorf("%s is not what it is in the warehouse", key)
		}
	}
}

// watchedOne is a warehouse with one iteration.
type watchedOne struct {
	store.Store
	iteration string
}

func (w *watchedOne) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for obj, err := range w.Store.List(ctx, prefix) {
			if (err != nil || strings.Contains(obj.Key, w.iteration)) && !yield(obj, err) {
				return
			}
		}
	}
}

// failingPut fails to put one object.
type failingPut struct {
	store.Store
	key string
	err error
}

func (s *failingPut) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	if key == s.key {
		return store.Object{}, s.err
	}
	return s.Store.Put(ctx, key, src, old, others...)
}

// listing is a list of objects that is old when it arrives.
type listing struct {
	store.Store
	hide  string
	after func()
}

func (s *listing) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		var all []store.Object
		for obj, err := range s.Store.List(ctx, prefix) {
			if err != nil {
				yield(obj, err)
				return
			}
			if !strings.Contains(obj.Key, s.hide) {
				all = append(all, obj)
			}
		}
		s.after()
		for _, obj := range all {
			if !yield(obj, nil) {
				return
			}
		}
	}
}

// damaging changes a byte of an object on its way, unless its place is 0.
type damaging struct {
	*storetest.Memory
	key string
	at  func() int
}

func (s *damaging) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if key != s.key {
		return s.Memory.Open(ctx, key)
	}
	body := bytes.Clone(s.Objects[key].Body)
	if at := s.at(); at != 0 {
		body[max(at, -at)] ^= 1
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/schema"
)

// watched is a warehouse whose reads are counted, and can be meddled with.
type watched struct {
	Store

	mu     sync.Mutex
	opened []string
	hidden string                 // a part of the keys of objects that are not there
	onOpen func(key string) error // it may fail
	cut    string                 // the body of this object breaks off
}

func (w *watched) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	w.mu.Lock()
	w.opened = append(w.opened, key)
	onOpen, cut := w.onOpen, w.cut
	w.mu.Unlock()
	if w.isHidden(key) {
		return nil, missing("open", key)
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
		}{io.MultiReader(io.LimitReader(body, 500), failingReader{errBroken}), body}, nil
	}
	return body, err
}

func (w *watched) isHidden(key string) bool { return w.hidden != "" && strings.Contains(key, w.hidden) }

func (w *watched) Stat(ctx context.Context, key string) (Object, error) {
	if w.isHidden(key) {
		return Object{}, missing("stat", key)
	}
	return w.Store.Stat(ctx, key)
}

func (w *watched) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
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
	w.opened = nil
	slices.Sort(data)
	return data
}

func every(string) bool { return true }

func newCache(t *testing.T) *Cache {
	t.Helper()
	c, err := OpenCache(filepath.Join(t.TempDir(), "below", "cache"), "the warehouse")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *Cache) mustUpdate(t *testing.T, from Store, want func(string) bool) Updated {
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
		if err == nil && !entry.IsDir() && entry.Name() != cacheMark && entry.Name() != lockName {
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

// holds fails the test unless the cache holds exactly these objects, as they are in
// the warehouse.
func (c *Cache) holds(t *testing.T, from Store, keys ...string) {
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
		for i, s := range []Store{from, c.store} {
			body, err := fetch(t.Context(), s, key, mostRecord)
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

// testCache is what a cache must do, whatever the warehouse is on.
func testCache(t *testing.T, open func(t *testing.T) Store) {
	keysA, keysB := keysOf(projectA, iterationA), keysOf(projectA, iterationB)
	both := slices.Concat(keysA, keysB)
	start := func(t *testing.T) (*watched, *Cache) {
		w := &watched{Store: open(t)}
		publish(t, w, exportA, projectA, iterationA, 3)
		publish(t, w, exportB, projectA, iterationB, 2)
		w.openedSince()
		return w, newCache(t)
	}
	t.Run("the second time nothing is read", func(t *testing.T) {
		w, c := start(t)
		var last Fetching
		updated, err := c.Update(t.Context(), w, every, func(f Fetching) { last = f })
		if err != nil || updated.Iterations != 2 || len(updated.Findings) > 0 {
			t.Fatalf("%+v, %v", updated, err)
		}
		if last.Objects != len(both) || last.AllObjects != len(both) || last.Bytes != last.AllBytes || last.Bytes == 0 {
			t.Errorf("fetched %+v", last)
		}
		c.holds(t, w, both...)
		w.openedSince()
		updated, err = c.Update(t.Context(), w, every, func(f Fetching) { t.Errorf("fetching %+v", f) })
		if err != nil || updated.Iterations != 2 {
			t.Fatalf("%+v, %v", updated, err)
		}
		if opened := w.openedSince(); len(opened) > 0 {
			t.Errorf("read %v", opened)
		}
		if info, err := os.Stat(c.Folder()); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("others can read the cache: %v, %v", info, err)
		}
	})
	t.Run("only what is wanted", func(t *testing.T) {
		w, c := start(t)
		tags := func(table string) bool { return table == "tags" }
		c.mustUpdate(t, w, tags)
		wanted := []string{keysA[2], keysA[5], keysB[2], keysB[5]}
		c.holds(t, w, wanted...)
		if iterations, missing, err := c.Missing(t.Context(), tags); err != nil || iterations != 2 || missing != 0 {
			t.Errorf("tags: %d iterations, %d missing, %v", iterations, missing, err)
		}
		if iterations, missing, err := c.Missing(t.Context(), every); err != nil || iterations != 2 || missing != 8 {
			t.Errorf("%d iterations, %d missing, %v", iterations, missing, err)
		}
		w.openedSince()
		c.mustUpdate(t, w, func(table string) bool { return table == "images" || table == "tags" })
		c.holds(t, w, append(wanted, keysA[0], keysB[0])...)
		if opened := w.openedSince(); !slices.Equal(opened, []string{keysB[0], keysA[0]}) {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("a replacement is seen", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		w.openedSince()
		publish(t, w, projectA, projectA, iterationA, 4)
		w.openedSince()
		c.mustUpdate(t, w, every)
		c.holds(t, w, both...)
		if opened := w.openedSince(); len(opened) != 5 {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("what is gone is not shown", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		w.hidden = "exports/project_id=" + projectA.String() + "/iteration_id=" + iterationA.String()
		if updated := c.mustUpdate(t, w, every); updated.Iterations != 1 {
			t.Errorf("%+v", updated)
		}
		c.holds(t, w, keysB...)
	})
	t.Run("damage is mended", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		for n, key := range keysA {
			path := c.store.URL(key)
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			switch n % 3 {
			case 0:
				body = body[:len(body)/2]
			case 1: // at its end is what says whose it is
				copy(body[len(body)-300:], make([]byte, 300))
			default:
				body = nil
			}
			if err := os.WriteFile(path, body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		w.openedSince()
		if updated := c.mustUpdate(t, w, every); len(updated.Findings) > 0 {
			t.Errorf("%+v", updated)
		}
		c.holds(t, w, both...)
		if opened := w.openedSince(); len(opened) != 5 {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("a cut download leaves nothing", func(t *testing.T) {
		w, c := start(t)
		w.hidden = iterationB.String()
		w.cut = keysA[3]
		_, err := c.Update(t.Context(), w, every, nil)
		says(t, err, errBroken.Error(), "table regions of project "+projectA.String()+" iteration "+iterationA.String(), w.URL(keysA[3]))
		c.holds(t, w, keysA[:3]...) // the record is not there, which would show them
		if opened := w.openedSince(); strings.Count(strings.Join(opened, " "), keysA[3]) != 3 {
			t.Errorf("read %v", opened)
		}
		w.cut = ""
		c.mustUpdate(t, w, every)
		c.holds(t, w, keysA...)
		if opened := w.openedSince(); !slices.Equal(opened, []string{keysA[3], keysA[4]}) {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("an interrupt is taken up", func(t *testing.T) {
		w, c := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		w.onOpen = func(key string) error {
			if key == keysA[2] {
				cancel()
			}
			return nil
		}
		if _, err := c.Update(ctx, w, every, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error = %v", err)
		}
		before := c.files(t)
		for _, key := range before {
			if !slices.Contains(both, key) {
				t.Errorf("left %s", key)
			}
		}
		w.openedSince()
		w.onOpen = nil
		c.mustUpdate(t, w, every)
		c.holds(t, w, both...)
		for _, key := range w.openedSince() {
			if slices.Contains(before, key) {
				t.Errorf("%s was there, and was read again", key)
			}
		}
	})
	t.Run("an unfinished replacement is shown as it is", func(t *testing.T) {
		w, c := start(t)
		stop := errors.New("stop")
		w2 := &failingPut{Store: w, key: keysA[1], err: stop}
		prior, err := ReadPrior(t.Context(), w2, projectA, iterationA)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Publish(t.Context(), w2, newExport(projectA, projectA, iterationA), tables(t, projectA, 4), prior); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		obj, err := w.Stat(t.Context(), keysA[0])
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []int{10, 0} {
			w.openedSince()
			updated, err := c.Update(t.Context(), w, every, func(f Fetching) {
				if n > 0 && obj.Summed { // else only reading it tells
					t.Errorf("fetching %+v", f)
				}
			})
			if err != nil || len(updated.Findings) != 1 {
				t.Fatalf("%+v, %v", updated, err)
			}
			says(t, errors.New(updated.Findings[0].String()), "table images", "is not what the exports record of export "+exportA.String(), "export the iteration again")
			c.holds(t, w, both...)
			if opened := w.openedSince(); len(opened) != want && (n == 0 || obj.Summed) {
				t.Errorf("read %v", opened)
			}
		}
		publish(t, w, exportB, projectA, iterationA, 1)
		if updated := c.mustUpdate(t, w, every); len(updated.Findings) > 0 {
			t.Errorf("%+v", updated)
		}
		c.holds(t, w, both...)
	})
	t.Run("a missing object is not shown", func(t *testing.T) {
		w, c := start(t)
		w.hidden = keysA[1]
		c.mustUpdate(t, w, func(table string) bool { return table != "predictions" })
		w.hidden = ""
		c.mustUpdate(t, w, every)
		if err := os.Truncate(c.store.URL(keysA[1]), 10); err != nil {
			t.Fatal(err)
		}
		w.hidden = keysA[1]
		updated := c.mustUpdate(t, w, every)
		if len(updated.Findings) != 1 || !strings.Contains(updated.Findings[0].String(), "missing") {
			t.Errorf("%+v", updated)
		}
		c.holds(t, w, slices.DeleteFunc(slices.Clone(both), func(key string) bool { return key == keysA[1] })...)
	})
	t.Run("replaced while it is read", func(t *testing.T) {
		for _, at := range []int{0, 2, 4} {
			w, c := start(t)
			w.hidden = iterationB.String()
			w.onOpen = func(key string) error {
				if key == keysA[at] {
					w.mu.Lock()
					w.onOpen = nil
					w.mu.Unlock()
					publish(t, w, projectA, projectA, iterationA, 5)
				}
				return nil
			}
			if updated := c.mustUpdate(t, w, every); len(updated.Findings) > 0 {
				t.Errorf("%+v", updated)
			}
			c.holds(t, w, keysA...)
		}
	})
	t.Run("gone while it is read", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		publish(t, w, projectA, projectA, iterationA, 5)
		w.onOpen = func(key string) error {
			if key == keysA[1] {
				w.hidden = iterationA.String()
				return missing("open", key)
			}
			return nil
		}
		if updated, err := c.Update(t.Context(), &watchedOne{w, iterationA.String()}, every, nil); err != nil || updated.Iterations != 0 {
			t.Errorf("%+v, %v", updated, err)
		}
	})
}

// watchedOne is a warehouse with one iteration.
type watchedOne struct {
	Store
	iteration string
}

func (w *watchedOne) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for obj, err := range w.Store.List(ctx, prefix) {
			if (err != nil || strings.Contains(obj.Key, w.iteration)) && !yield(obj, err) {
				return
			}
		}
	}
}

// failingPut fails to put one object.
type failingPut struct {
	Store
	key string
	err error
}

func (s *failingPut) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	if key == s.key {
		return Object{}, s.err
	}
	return s.Store.Put(ctx, key, src, old)
}

func TestCache(t *testing.T) {
	t.Run("folder", func(t *testing.T) {
		testCache(t, func(t *testing.T) Store {
			s, err := newLocal(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
	t.Run("gcs", func(t *testing.T) {
		testCache(t, func(t *testing.T) Store { s, _ := newTestGCS(t, "bucket"); return s })
	})
	t.Run("s3", func(t *testing.T) {
		testCache(t, func(t *testing.T) Store { s, _ := newTestS3(t, "bucket"); return s })
	})
}

func TestCacheOfAzure(t *testing.T) {
	server := azurite.Start(t)
	testCache(t, func(t *testing.T) Store { s, _ := newTestAzure(t, server, newContainer(t, server)); return s })
}

// Several at once, with a warehouse that changes, each end with what is there.
func TestCachesAtOnce(t *testing.T) {
	s, err := newLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, exportA, projectA, iterationA, 3)
	publish(t, s, exportA, projectA, iterationB, 3)
	of := newCache(t)
	for _, export := range []schema.ID{exportB, projectA, exportA} {
		var wait sync.WaitGroup
		for n := range 4 {
			wait.Go(func() {
				c, err := OpenCache(of.Folder(), "the warehouse")
				if err != nil {
					t.Error(err)
					return
				}
				w := &watched{Store: s}
				if n == 0 { // it is replaced when the others have begun
					w.onOpen = func(string) error {
						w.mu.Lock()
						w.onOpen = nil
						w.mu.Unlock()
						publish(t, s, export, projectA, iterationA, 4)
						return nil
					}
				}
				if _, err := c.Update(t.Context(), w, every, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		of.mustUpdate(t, s, every)
		of.holds(t, s, slices.Concat(keysOf(projectA, iterationA), keysOf(projectA, iterationB))...)
		publish(t, s, export, projectA, iterationB, 2) // so that there is something to do
	}
}

// What another process put into the cache since it was looked at is left alone.
func TestCacheRemovesOnlyWhatItSaw(t *testing.T) {
	s, err := newLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(t)
	publish(t, s, exportA, projectA, iterationA, 1)
	slow := &listing{Store: s, after: func() { c.mustUpdate(t, s, every) }}
	publish(t, s, exportB, projectA, iterationB, 1)
	slow.hide = iterationB.String() // it was listed before that
	c.mustUpdate(t, slow, every)
	c.holds(t, s, slices.Concat(keysOf(projectA, iterationA), keysOf(projectA, iterationB))...)
}

// listing is a list of objects that is old when it arrives.
type listing struct {
	Store
	hide  string
	after func()
}

func (s *listing) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		var all []Object
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

// A damaged record is told, and hides its iteration.
func TestCacheOfDamagedRecord(t *testing.T) {
	for _, unsummed := range []bool{false, true} {
		s := newMemStore()
		s.unsummed = unsummed
		publish(t, s, exportA, projectA, iterationA, 1)
		publish(t, s, exportA, projectA, iterationB, 1)
		c := newCache(t)
		c.mustUpdate(t, s, every)
		s.set(keysOf(projectA, iterationA)[5], []byte("nonsense"))
		for range 2 {
			updated := c.mustUpdate(t, s, every)
			if updated.Iterations != 1 || len(updated.Findings) != 1 {
				t.Fatalf("%+v", updated)
			}
			says(t, errors.New(updated.Findings[0].String()), iterationA.String(), "damaged", "export it again with --force")
			c.holds(t, s, keysOf(projectA, iterationB)...)
		}
	}
}

// What arrives broken each time differently is not believed.
func TestCacheOfBrokenConnection(t *testing.T) {
	s := newMemStore()
	publish(t, s, exportA, projectA, iterationA, 1)
	keys := keysOf(projectA, iterationA)
	body := s.objects[keys[0]].body
	opened := 0
	broken := &damaging{memStore: s, key: keys[0], at: func() int { opened++; return opened }}
	c := newCache(t)
	_, err := c.Update(t.Context(), broken, every, nil)
	says(t, err, "table images", "arrives broken", "3 times")
	c.holds(t, s)
	opened = -2 // twice broken, then as it is
	c.mustUpdate(t, broken, every)
	c.holds(t, s, keys...)
	if !bytes.Equal(body, s.objects[keys[0]].body) {
		t.Error("the test changed the object")
	}
}

// damaging changes a byte of an object on its way, unless its place is 0.
type damaging struct {
	*memStore
	key string
	at  func() int
}

func (s *damaging) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if key != s.key {
		return s.memStore.Open(ctx, key)
	}
	body := bytes.Clone(s.objects[key].body)
	if at := s.at(); at != 0 {
		body[max(at, -at)] ^= 1
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

// A record cannot lead out of its tables.
func TestCacheStaysInside(t *testing.T) {
	s := newMemStore()
	e := publish(t, s, exportA, projectA, iterationA, 1)
	for n, key := range []string{"../../outside", "images/elsewhere/data.parquet", keysOf(projectA, iterationB)[0]} {
		e.Objects[0].Key = key
		s.set(key, []byte("outside"))
		body, err := encodeExport(e)
		if err != nil {
			t.Fatal(err)
		}
		s.set(keysOf(projectA, iterationA)[5], body)
		c := newCache(t)
		updated := c.mustUpdate(t, s, every)
		if len(updated.Findings) != 1 || !strings.Contains(updated.Findings[0].String(), "not the table's") {
			t.Errorf("%d: %+v", n, updated)
		}
		c.holds(t, s, keysOf(projectA, iterationA)[1:]...)
	}
}

func TestOpenCacheRefuses(t *testing.T) {
	c := newCache(t)
	if _, err := OpenCache(c.Folder(), "another"); err == nil {
		t.Error("the cache of another warehouse was opened")
	} else {
		says(t, err, c.Folder(), "it is of the warehouse, not of another")
	}
	s, err := newLocal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, exportA, projectA, iterationA, 1)
	if _, err := OpenCache(s.root, "the warehouse"); err == nil {
		t.Error("a warehouse was opened as a cache")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCache(file, "the warehouse"); err == nil {
		t.Error("a file was opened as a cache")
	}
	var wait sync.WaitGroup
	folder := filepath.Join(t.TempDir(), "at once")
	for range 8 {
		wait.Go(func() {
			if _, err := OpenCache(folder, "the warehouse"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if _, err := OpenCache(folder, "the warehouse"); err != nil {
		t.Error(err)
	}
}

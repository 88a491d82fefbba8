package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
	"github.com/cvexport/cvexport/schema"
)

func TestCache(t *testing.T) {
	t.Run("folder", func(t *testing.T) {
		testCache(t, func(t *testing.T) store.Store {
			s, err := local.New(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
	t.Run("gcs", func(t *testing.T) {
		testCache(t, func(t *testing.T) store.Store { s, _ := fakes.OpenGCS(t, fakes.Bucket); return s })
	})
	t.Run("s3", func(t *testing.T) {
		testCache(t, func(t *testing.T) store.Store { s, _ := fakes.OpenS3(t, fakes.Bucket); return s })
	})
}

// Several at once, with a warehouse that changes, each end with what is there.
func TestCachesAtOnce(t *testing.T) {
	s, err := local.New(t.TempDir())
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
				c, err := Open(of.Folder(), "the warehouse")
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
		of.contains(t, s, slices.Concat(keysOf(projectA, iterationA), keysOf(projectA, iterationB))...)
		publish(t, s, export, projectA, iterationB, 2) // so that there is something to do
	}
}

// What another process put into the cache since it was looked at is left alone.
func TestCacheRemovesOnlyWhatItSaw(t *testing.T) {
	s, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(t)
	publish(t, s, exportA, projectA, iterationA, 1)
	slow := &listing{Store: s, after: func() { c.mustUpdate(t, s, every) }}
	publish(t, s, exportB, projectA, iterationB, 1)
	slow.hide = iterationB.String() // it was listed before that
	c.mustUpdate(t, slow, every)
	c.contains(t, s, slices.Concat(keysOf(projectA, iterationA), keysOf(projectA, iterationB))...)
}

// A damaged record is reported, and hides its iteration.
func TestCacheOfDamagedRecord(t *testing.T) {
	for _, unsummed := range []bool{false, true} {
		s := storetest.NewMemory()
		s.Unsummed = unsummed
		publish(t, s, exportA, projectA, iterationA, 1)
		publish(t, s, exportA, projectA, iterationB, 1)
		c := newCache(t)
		c.mustUpdate(t, s, every)
		s.Set(keysOf(projectA, iterationA)[5], []byte("nonsense"))
		for range 2 {
			updated := c.mustUpdate(t, s, every)
			if updated.Iterations != 1 || len(updated.Findings) != 1 {
				t.Fatalf("%+v", updated)
			}
			storetest.CheckError(t, errors.New(updated.Findings[0].String()), iterationA.String(), "damaged", "export it again with --force")
			c.contains(t, s, keysOf(projectA, iterationB)...)
		}
	}
}

// What arrives broken each time differently is not believed.
func TestCacheOfBrokenConnection(t *testing.T) {
	s := storetest.NewMemory()
	publish(t, s, exportA, projectA, iterationA, 1)
	keys := keysOf(projectA, iterationA)
	body := s.Objects[keys[0]].Body
	opened := 0
	broken := &damaging{Memory: s, key: keys[0], at: func() int { opened++; return opened }}
	c := newCache(t)
	_, err := c.Update(t.Context(), broken, every, nil)
	storetest.CheckError(t, err, "table images", "arrives broken", "3 times")
	c.contains(t, s)
	opened = -2 // twice broken, then as it is
	c.mustUpdate(t, broken, every)
	c.contains(t, s, keys...)
	if !bytes.Equal(body, s.Objects[keys[0]].Body) {
		t.Error("the test changed the object")
	}
}

// A record cannot lead out of its tables.
func TestCacheStaysInside(t *testing.T) {
	s := storetest.NewMemory()
	e := publish(t, s, exportA, projectA, iterationA, 1)
	for n, key := range []string{"../../outside", "images/elsewhere/data.parquet", keysOf(projectA, iterationB)[0]} {
		e.Objects[0].Key = key
		s.Set(key, []byte("outside"))
		body, err := load.EncodeRecord(e)
		if err != nil {
			t.Fatal(err)
		}
		s.Set(keysOf(projectA, iterationA)[5], body)
		c := newCache(t)
		updated := c.mustUpdate(t, s, every)
		if len(updated.Findings) != 1 || !strings.Contains(updated.Findings[0].String(), "not the table's") {
			t.Errorf("%d: %+v", n, updated)
		}
		c.contains(t, s, keysOf(projectA, iterationA)[1:]...)
	}
}

func TestOpenCacheRefuses(t *testing.T) {
	c := newCache(t)
	if _, err := Open(c.Folder(), "another"); err == nil {
		t.Error("the cache of another warehouse was opened")
	} else {
		storetest.CheckError(t, err, c.Folder(), "it is of the warehouse, not of another")
	}
	s, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, exportA, projectA, iterationA, 1)
	if _, err := Open(s.Root(), "the warehouse"); err == nil {
		t.Error("a warehouse was opened as a cache")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, "the warehouse"); err == nil {
		t.Error("a file was opened as a cache")
	}
	var wait sync.WaitGroup
	folder := filepath.Join(t.TempDir(), "at once")
	for range 8 {
		wait.Go(func() {
			if _, err := Open(folder, "the warehouse"); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if _, err := Open(folder, "the warehouse"); err != nil {
		t.Error(err)
	}
}

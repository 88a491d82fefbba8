package mirror

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// testCache is what a cache must do, whatever the warehouse is on.
func testCache(t *testing.T, open func(t *testing.T) store.Store) {
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
		var last Progress
		updated, err := c.Update(t.Context(), w, every, func(f Progress) { last = f })
		if err != nil || updated.Iterations != 2 || len(updated.Findings) > 0 {
			t.Fatalf("%+v, %v", updated, err)
		}
		if last.Objects != len(both) || last.AllObjects != len(both) || last.Bytes != last.AllBytes || last.Bytes == 0 {
			t.Errorf("fetched %+v", last)
		}
		c.contains(t, w, both...)
		w.openedSince()
		updated, err = c.Update(t.Context(), w, every, func(f Progress) { t.Errorf("fetching %+v", f) })
		if err != nil || updated.Iterations != 2 {
			t.Fatalf("%+v, %v", updated, err)
		}
		if len(w.asked) > 0 {
			t.Errorf("asked for %v, not only for the list", w.asked)
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
		c.contains(t, w, wanted...)
		if iterations, missing, err := c.Missing(t.Context(), tags); err != nil || iterations != 2 || missing != 0 {
			t.Errorf("tags: %d iterations, %d missing, %v", iterations, missing, err)
		}
		if iterations, missing, err := c.Missing(t.Context(), every); err != nil || iterations != 2 || missing != 8 {
			t.Errorf("%d iterations, %d missing, %v", iterations, missing, err)
		}
		w.openedSince()
		c.mustUpdate(t, w, func(table string) bool { return table == "images" || table == "tags" })
		c.contains(t, w, append(wanted, keysA[0], keysB[0])...)
		if opened := w.openedSince(); !slices.Equal(opened, []string{keysA[0], keysB[0]}) {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("only the iterations that are asked for", func(t *testing.T) {
		w, c := start(t)
		c.Holds = func(_, iteration schema.ID) bool { return iteration == iterationA }
		if updated := c.mustUpdate(t, w, every); updated.Iterations != 1 {
			t.Errorf("%+v", updated)
		}
		c.contains(t, w, keysA...)
		if updated := c.Updated(); !updated.IsZero() {
			t.Errorf("it claims to have been compared as a whole at %v", updated)
		}
		if iterations, missing, err := c.Missing(t.Context(), every); err != nil || iterations != 1 || missing != 0 {
			t.Errorf("%d iterations, %d missing, %v", iterations, missing, err)
		}
		c.Holds = func(_, iteration schema.ID) bool { return iteration == iterationB }
		w.hidden = iterationA.String() // which is nothing that is asked for
		c.mustUpdate(t, w, every)
		w.hidden = ""
		c.contains(t, w, both...)
		if opened := w.openedSince(); len(opened) != len(both)-2 {
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
		c.contains(t, w, both...)
		for _, key := range w.asked {
			if !slices.Contains(keysA, key) {
				t.Errorf("asked for %s, which has not changed", key)
			}
		}
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
		c.contains(t, w, keysB...)
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
			switch n % 4 {
			case 3: // which its size and its footer do not tell
				body[len(body)/3] ^= 1
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
		c.contains(t, w, both...)
		if opened := w.openedSince(); len(opened) != 5 {
			t.Errorf("read %v", opened)
		}
	})
	t.Run("what is known may be lost", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		for name, body := range map[string]string{"garbage": "{", "nothing": "", "of others": `{"exports/x": {"listed": "1"}}`, "null": "null"} {
			if err := os.WriteFile(filepath.Join(c.Folder(), knownName), []byte(body), 0o600); err != nil {
				t.Fatal(err)
			}
			w.openedSince()
			if updated := c.mustUpdate(t, w, every); updated.Iterations != 2 || len(updated.Findings) > 0 {
				t.Errorf("%s: %+v", name, updated)
			}
			c.contains(t, w, both...)
			if opened := w.openedSince(); len(opened) > 0 {
				t.Errorf("%s: read %v", name, opened)
			}
			c.mustUpdate(t, w, every)
			if len(w.asked) > 0 {
				t.Errorf("%s, then again: asked for %v", name, w.asked)
			}
		}
	})
	t.Run("a cut download leaves nothing", func(t *testing.T) {
		w, c := start(t)
		w.hidden = iterationB.String()
		w.cut = keysA[3]
		_, err := c.Update(t.Context(), w, every, nil)
		storetest.CheckError(t, err, storetest.ErrBroken.Error(), "table regions of project "+projectA.String()+" iteration "+iterationA.String(), w.URL(keysA[3]))
		c.contains(t, w, keysA[:3]...) // the record is not there, which would show them
		if opened := w.openedSince(); strings.Count(strings.Join(opened, " "), keysA[3]) != 3 {
			t.Errorf("read %v", opened)
		}
		w.cut = ""
		c.mustUpdate(t, w, every)
		c.contains(t, w, keysA...)
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
		c.contains(t, w, both...)
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
		prior, err := load.ReadPrior(t.Context(), w2, schema.Evaluation, projectA, iterationA)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := load.Publish(t.Context(), w2, load.Export{ExportID: projectA, Project: projectA, Iteration: iterationA}, tables(t, projectA, 4), prior); !errors.Is(err, stop) {
			t.Fatal(err)
		}
		obj, err := w.Stat(t.Context(), keysA[0])
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range []int{10, 0} {
			w.openedSince()
			updated, err := c.Update(t.Context(), w, every, func(f Progress) {
				if n > 0 && obj.Summed { // else only reading it tells
					t.Errorf("fetching %+v", f)
				}
			})
			if err != nil || len(updated.Findings) != 1 {
				t.Fatalf("%+v, %v", updated, err)
			}
			storetest.CheckError(t, errors.New(updated.Findings[0].String()), "table images", "is not what the exports record of export "+exportA.String(), "export the iteration again")
			c.contains(t, w, both...)
			if opened := w.openedSince(); len(opened) != want && (n == 0 || obj.Summed) {
				t.Errorf("read %v", opened)
			}
		}
		publish(t, w, exportB, projectA, iterationA, 1)
		if updated := c.mustUpdate(t, w, every); len(updated.Findings) > 0 {
			t.Errorf("%+v", updated)
		}
		c.contains(t, w, both...)
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
		c.contains(t, w, slices.DeleteFunc(slices.Clone(both), func(key string) bool { return key == keysA[1] })...)
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
			c.contains(t, w, keysA...)
		}
	})
	t.Run("gone while it is read", func(t *testing.T) {
		w, c := start(t)
		c.mustUpdate(t, w, every)
		publish(t, w, projectA, projectA, iterationA, 5)
		w.onOpen = func(key string) error {
			if key == keysA[1] {
				w.hidden = iterationA.String()
				return storetest.Missing("open", key)
			}
			return nil
		}
		if updated, err := c.Update(t.Context(), &watchedOne{w, iterationA.String()}, every, nil); err != nil || updated.Iterations != 0 {
			t.Errorf("%+v, %v", updated, err)
		}
	})
}

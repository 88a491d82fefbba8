package jobs

import (
	"context"
	"errors"
	"testing"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Whatever operation of whatever store fails in whatever way, each table is the
// old one or the new one, and the next run makes everything right. The short form
// tries some of the faults of each kind of store.
func TestStoreFailsAtEveryStep(t *testing.T) {
	failed := 0
	strides := map[string]int{"local": 12, "gcs": 17, "s3": 17, "azure": 19}
	for name, open := range places() {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && name != "local" {
				t.Skip("takes long")
			}
			stride := strideOf(strides[name])
			s, warehouse := newSteps(t), open(t)
			t.Run("first export", func(t *testing.T) {
				failed += everyStep(t, stride, func(at int, how failure) int {
					store, folder := warehouse(t)
					s.use(t, store, folder)
					return s.failAt(t, at, how, 1)
				})
			})
			t.Run("replacement", func(t *testing.T) {
				store, folder := warehouse(t)
				s.use(t, store, folder)
				s.repair(t, 0)
				failed += everyStep(t, stride, func(at int, how failure) int {
					return s.failAt(t, at, how, 1-s.held)
				})
			})
		})
	}
	t.Logf("FIGURES: %d operations of stores failed one by one", failed)
}

// everyStep calls do with one operation after the other, until there is none, in
// every way. do returns how many operations there were. With a stride it leaves
// combinations out.
func everyStep(t *testing.T, stride int, do func(at int, how failure) (operations int)) (failed int) {
	for i, how := range failures {
		for at := 1; ; at++ {
			if (at+i)%stride != 0 {
				continue
			}
			if do(at, how) < at {
				break
			}
			failed++
			if t.Failed() {
				t.Fatalf("operation %d, %s", at, how)
			}
		}
	}
	if failed < 4 {
		t.Errorf("%d operations failed: the test shows nothing", failed)
	}
	return failed
}

// failAt lets one operation of an export fail, checks what is left, and repairs it.
func (s *steps) failAt(t *testing.T, at int, how failure, content int) (operations int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	failing := &failingStore{Store: s.store, at: at, how: how, cancel: cancel}
	err := s.run(t, ctx, failing, content)
	if failing.done < at {
		if err != nil {
			t.Errorf("without a fault: %v", err)
		}
		s.held = content
		return failing.done
	}
	if how == hanging && err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("operation %d hung: %v", at, err)
	}
	s.check(t, content, err)
	s.repair(t, content)
	return failing.done
}

// Whatever fails while a night compares the warehouse with the service, or while
// verify reads it: nothing is lost, nothing is reported to be damaged that is not
// unless it could not be read, and an undisturbed run finds everything whole.
func TestNightAndVerifyFailAtEveryStep(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	stride := strideOf(13)
	failed := 0
	s := newSteps(t)
	folder := localStore(t)
	s.use(t, folder, folder.URL(""))
	s.repair(t, 0)
	night := func(ctx context.Context, store store.Store, content int) error {
		r := s.request
		r.SpoolDir = t.TempDir()
		nights, err := Nightly(ctx, []Resource{{Name: "test", Client: s.contents[content], Store: store, Request: r}}, NightlyOptions{})
		if err != nil {
			return err
		}
		if nights[0].Err != nil {
			return nights[0].Err
		}
		p := nights[0].Projects[0]
		if p.Err != nil {
			return p.Err
		}
		return p.Iterations[0].Err
	}
	t.Run("nightly", func(t *testing.T) {
		failed += everyStep(t, stride, func(at int, how failure) int {
			// What was interrupted between two objects is there for a night to find.
			broken := &failingStore{Store: s.store, at: 20, how: gone}
			if err := s.run(t, t.Context(), broken, 1-s.held); err == nil {
				t.Error("the export before was not interrupted")
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failing := &failingStore{Store: s.store, at: at, how: how, cancel: cancel}
			err := night(ctx, failing, 1-s.held)
			s.check(t, 1-s.held, err)
			if err := night(t.Context(), s.store, 1-s.held); err != nil {
				t.Errorf("the next night: %v", err)
			}
			s.check(t, 1-s.held, nil)
			s.held = 1 - s.held
			return failing.done
		})
	})
	t.Run("verify", func(t *testing.T) {
		failed += everyStep(t, stride, func(at int, how failure) int {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failing := &failingStore{Store: s.store, at: at, how: how, cancel: cancel}
			report, err := load.Verify(ctx, failing, schema.Evaluation, t.TempDir(), nil)
			if read := report.Iterations == 1 && report.Objects == 6; err == nil && len(report.Findings)+len(report.Unread) == 0 && !read {
				t.Errorf("it found nothing, and read %+v", report)
			}
			s.check(t, s.held, nil)
			return failing.done
		})
	})
	t.Logf("FIGURES: %d operations of stores failed one by one", failed)
}

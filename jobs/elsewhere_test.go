package jobs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// overtaken is a store in which another run gets ahead of the first put.
type overtaken struct {
	store.Store
	once  sync.Once
	other func()
}

func (s *overtaken) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	s.once.Do(s.other)
	return s.Store.Put(ctx, key, src, old, others...)
}

// gated is a store whose commit waits.
type gated struct {
	store.Store
	reached, release chan struct{}
}

func (s *gated) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	if strings.HasPrefix(key, schema.Exports.Name+"/") {
		close(s.reached)
		select {
		case <-s.release:
		case <-ctx.Done():
			return store.Object{}, ctx.Err()
		}
	}
	return s.Store.Put(ctx, key, src, old, others...)
}

// logWatch closes a channel when a text is logged.
type logWatch struct {
	slog.Handler
	text string
	seen chan struct{}
	once *sync.Once
}

func (h logWatch) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, h.text) {
		h.once.Do(func() { close(h.seen) })
	}
	return nil
}
func (h logWatch) Enabled(context.Context, slog.Level) bool { return true }
func (h logWatch) WithAttrs([]slog.Attr) slog.Handler       { return h }

// A nightly run or a listener that meets another run while that is still putting
// its tables waits for its commit, and then has nothing to do.
func TestAnotherRunIsWaitedFor(t *testing.T) {
	server := startQueues(t).Server
	for name, run := range map[string]func(*testing.T, *bench, *slog.Logger) map[Outcome]int{
		"nightly": func(t *testing.T, b *bench, log *slog.Logger) map[Outcome]int {
			return outcomes(b.nightly(t, Choice{}, NightlyOptions{Log: log}))
		},
		"listener": func(t *testing.T, b *bench, log *slog.Logger) map[Outcome]int {
			m := newMailbox(t, server)
			m.send(t, trained(b, 0, 0))
			counts, err := b.listen(t, t.Context(), m, ListenOptions{Log: log, UntilIdle: true})
			if left, poisoned := m.left(t); err != nil || left+poisoned > 0 {
				t.Errorf("%d messages left, %d poisoned, %v", left, poisoned, err)
			}
			return counts
		},
		"single export": func(t *testing.T, b *bench, log *slog.Logger) map[Outcome]int {
			r := b.request()
			r.Log = log
			if _, err := b.export(t, r); !errors.Is(err, store.ErrConflict) {
				t.Errorf("error = %v", err)
			}
			insists := r
			insists.Force = true
			if _, ok := CommittedElsewhere(t.Context(), b.client, b.store, insists); ok {
				t.Error("another's export is taken for a forced one")
			}
			e, ok := CommittedElsewhere(t.Context(), b.client, b.store, r)
			if !ok || e.Images() != 300 {
				t.Errorf("committed %v: %+v", ok, e)
			}
			return map[Outcome]int{Elsewhere: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, simulated.Config{Seed: 6, Images: 300})
			other := *b
			gate := &gated{Store: b.store, reached: make(chan struct{}), release: make(chan struct{})}
			other.store = gate
			log := slog.New(logWatch{text: "another run is exporting the iteration", seen: gate.release, once: &sync.Once{}})
			ended := make(chan error)
			b.store = &overtaken{Store: b.store, other: func() {
				go func() {
					_, err := other.export(t, other.request())
					ended <- err
				}()
				<-gate.reached
			}}
			if got := run(t, b, log); !maps.Equal(got, map[Outcome]int{Elsewhere: 1}) {
				t.Errorf("outcomes %v", got)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
			b.verify(t)
			compareRows(t, b, 0, 0, 0, 300)
		})
	}
}

// afterStat is a store that calls a hook after its n-th Stat.
type afterStat struct {
	store.Store
	n    int
	hook func()
}

func (s *afterStat) Stat(ctx context.Context, key string) (store.Object, error) {
	obj, err := s.Store.Stat(ctx, key)
	if s.n--; s.n == 0 {
		s.hook()
	}
	return obj, err
}

// An iteration that another run commits at whatever moment before this one does is
// not exported again.
func TestCommittedByAnotherRunMeanwhile(t *testing.T) {
	server := startQueues(t).Server
	for name, run := range map[string]func(*testing.T, *bench) map[Outcome]int{
		"nightly": func(t *testing.T, b *bench) map[Outcome]int {
			return outcomes(b.nightly(t, Choice{}, NightlyOptions{}))
		},
		"listener": func(t *testing.T, b *bench) map[Outcome]int {
			m := newMailbox(t, server)
			m.send(t, trained(b, 0, 0))
			counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true})
			if err != nil {
				t.Error(err)
			}
			return counts
		},
	} {
		t.Run(name, func(t *testing.T) {
			stride := 1
			if testing.Short() {
				stride = 4
			}
			seen := map[Outcome]int{}
			for n := 1; seen[Exported] == 0; n += stride {
				b := newBench(t, simulated.Config{Images: 5})
				other := *b
				var theirs Result
				b.store = &afterStat{Store: b.store, n: n, hook: func() {
					var err error
					if theirs, err = other.export(t, other.request()); err != nil {
						t.Errorf("stat %d: %v", n, err)
					}
				}}
				for outcome := range run(t, b) {
					seen[outcome]++
				}
				other.verify(t)
				if theirs.Export.ExportID.IsZero() { // there are fewer
					continue
				}
				p := b.service.Projects()[0]
				got, _, err := load.ReadExport(t.Context(), other.store, p.ID, p.Iterations[0].ID)
				if theirs.Replaced != nil { // it came after this run's commit
					continue
				}
				if err != nil || seen[Exported] > 0 || got.ExportID != theirs.Export.ExportID {
					t.Fatalf("the other run committed after stat %d: outcomes so far %v, the warehouse has export %s, %v", n, seen, got.ExportID, err)
				}
			}
			t.Logf("outcomes %v", seen)
			if seen[Elsewhere] < 3 || len(seen) < 2 || name == "listener" && seen[Present] == 0 {
				t.Error("the test shows little")
			}
		})
	}
}

// A listener and a nightly run over the same iterations at once: neither fails, and
// no message is left.
func TestListenerMeetsANightlyRun(t *testing.T) {
	server := startQueues(t).Server
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		b, m := newBench(t, simulated.Config{Seed: seed, Projects: 2, Iterations: 3, Images: 200}), newMailbox(t, server)
		for p := range 2 {
			for k := range 3 {
				m.send(t, trained(b, p, k))
			}
		}
		var wait sync.WaitGroup
		var night, listened map[Outcome]int
		wait.Go(func() {
			n := b.nightly(t, Choice{}, NightlyOptions{})
			if night = outcomes(n); n.Err != nil {
				t.Error(n.Err)
			}
		})
		wait.Go(func() {
			var err error
			if listened, err = b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, Retry: time.Hour}); err != nil {
				t.Error(err)
			}
		})
		wait.Wait()
		for _, done := range []map[Outcome]int{night, listened} {
			if done[Exported]+done[Present]+done[Elsewhere] != 6 || night[Exported]+listened[Exported] != 6 {
				t.Errorf("outcomes of the night %v, of the listener %v", night, listened)
			}
		}
		if left, poisoned := m.left(t); left+poisoned > 0 {
			t.Errorf("%d messages left, %d poisoned", left, poisoned)
		}
		if report := b.verify(t); report.Iterations != 6 {
			t.Errorf("%d iterations", report.Iterations)
		}
		for p := range 2 {
			for k := range 3 {
				compareRows(t, b, p, k, 0, 200)
			}
		}
	}
}

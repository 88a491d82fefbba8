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

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// overtaken is a store in which another run gets ahead of the first put.
type overtaken struct {
	store.Store
	once  sync.Once
	other func()
}

func (s *overtaken) Put(ctx context.Context, key string, src store.Source, old string) (store.Object, error) {
	s.once.Do(s.other)
	return s.Store.Put(ctx, key, src, old)
}

// held is a store whose commit waits.
type held struct {
	store.Store
	reached, release chan struct{}
}

func (s *held) Put(ctx context.Context, key string, src store.Source, old string) (store.Object, error) {
	if strings.HasPrefix(key, schema.Exports.Name+"/") {
		close(s.reached)
		select {
		case <-s.release:
		case <-ctx.Done():
			return store.Object{}, ctx.Err()
		}
	}
	return s.Store.Put(ctx, key, src, old)
}

// told closes a channel when something is logged.
type told struct {
	slog.Handler
	text string
	said chan struct{}
	once *sync.Once
}

func (h told) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, h.text) {
		h.once.Do(func() { close(h.said) })
	}
	return nil
}
func (h told) Enabled(context.Context, slog.Level) bool { return true }
func (h told) WithAttrs([]slog.Attr) slog.Handler       { return h }

// A nightly run or a listener that meets another run while that is still putting
// its tables waits for its commit, and then has nothing to do.
func TestAnotherRunIsWaitedFor(t *testing.T) {
	server := azurite.Start(t)
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
			if !ok || e.Images != 300 {
				t.Errorf("committed %v: %+v", ok, e)
			}
			return map[Outcome]int{Elsewhere: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, simulated.Config{Seed: 6, Images: 300})
			other := *b
			gate := &held{Store: b.store, reached: make(chan struct{}), release: make(chan struct{})}
			other.store = gate
			log := slog.New(told{text: "another run exports the iteration", said: gate.release, once: &sync.Once{}})
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

// A listener and a nightly run over the same iterations at once: neither fails, and
// no message is left.
func TestListenerMeetsANightlyRun(t *testing.T) {
	server := azurite.Start(t)
	for seed := range uint64(3) {
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

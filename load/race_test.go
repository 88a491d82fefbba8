package load

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// turns lets several exports work on one store, one step at a time, in an order
// that somebody else decides.
type turns struct {
	store.Store
	ask     chan<- *turns
	proceed chan struct{}
}

func (s *turns) turn() {
	s.ask <- s
	<-s.proceed
}

func (s *turns) Stat(ctx context.Context, key string) (store.Object, error) {
	s.turn()
	return s.Store.Stat(ctx, key)
}

func (s *turns) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	s.turn()
	return s.Store.Put(ctx, key, src, old, others...)
}

func (s *turns) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	s.turn()
	return s.Store.Open(ctx, key)
}

func (s *turns) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	s.turn()
	return s.Store.List(ctx, prefix)
}

// However the steps of three exports of one iteration mix, at least one commits,
// the others stop for it, and what is there in the end is one whole export.
func TestExportsAtOnce(t *testing.T) {
	ids := []schema.ID{exportA, exportB, projectA}
	var files [][]*Table
	for i, id := range ids {
		files = append(files, tables(t, id, 1+i))
	}
	const seeds = uint64(120)
	conflicts, committed := 0, 0
	for seed := range seeds {
		random := rand.New(rand.NewPCG(seed, 1))
		s := storetest.NewMemory()
		ask, ended := make(chan *turns), make(chan int, len(ids))
		errs := make([]error, len(ids))
		var wait sync.WaitGroup
		for i, id := range ids {
			mine := &turns{Store: s, ask: ask, proceed: make(chan struct{})}
			wait.Go(func() {
				defer func() { ended <- i }()
				prior, err := ReadPrior(t.Context(), mine, schema.Evaluation, projectA, iterationA)
				if err == nil {
					_, err = Publish(t.Context(), mine, newExport(id, projectA, iterationA), files[i], prior)
				}
				errs[i] = err
			})
		}
		var waiting []*turns
		for running := len(ids); running > 0; {
			for len(waiting) < running {
				select {
				case one := <-ask:
					waiting = append(waiting, one)
				case <-ended:
					running--
				}
			}
			if running == 0 {
				break
			}
			// Some go on for long while others stand still: bursts reach corners that fair turns do not.
			at := random.IntN(len(waiting))
			one := waiting[at]
			waiting = append(waiting[:at], waiting[at+1:]...)
			for burst := random.IntN(12); ; burst-- {
				one.proceed <- struct{}{}
				gone := false
				select {
				case one = <-ask: // only it is running
				case <-ended:
					running--
					gone = true
				}
				if gone {
					break
				}
				if burst <= 0 {
					waiting = append(waiting, one)
					break
				}
			}
		}
		wait.Wait()
		won := 0
		for _, err := range errs {
			switch {
			case err == nil:
				won++
			case errors.Is(err, store.ErrConflict):
				conflicts++
			default:
				t.Fatalf("seed %d: %v", seed, err)
			}
		}
		committed += won
		if won == 0 || !whole(t, s) {
			t.Fatalf("seed %d: %d committed, whole %v; %v", seed, won, whole(t, s), errs)
		}
	}
	t.Logf("%d exports committed, %d stopped for another", committed, conflicts)
}

package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// Forecast is what a night would read.
type Forecast struct {
	Projects   int   // chosen
	Iterations int   // that would be exported
	Images     int64 // of the Counted iterations, evaluated
	Counted    int   // of the Iterations
	Requests   int64 // of the whole night; of iterations that are not counted about as many as of the others
}

// mostCounted is of how many iterations a forecast counts the images. Each takes a request.
const mostCounted = 100

// The requests of a night besides those for pages.
const (
	ofNight     = 2 // the projects, and the domains
	ofProject   = 1 // its iterations
	ofIteration = 8 // project, iteration, tags, count, figures; the end of the list, count and tags afterwards
)

// RequestsOf is how many requests the export of an iteration with so many images takes.
func RequestsOf(images int64) int64 {
	return ofIteration + (images+extract.PageSize-1)/extract.PageSize
}

// Preview tries the warehouse of a resource, and says what the next night would read. It
// reads no image, and writes nothing but what [store.Store.Probe] does.
func Preview(ctx context.Context, r Resource) (Forecast, error) {
	if r.Err != nil {
		return Forecast{}, r.Err
	}
	n := nightly{Resource: r, NightlyOptions: NightlyOptions{Log: slog.New(slog.DiscardHandler)}, out: &ResourceResult{}}
	listed, err := n.list(ctx)
	if err != nil {
		return Forecast{}, err
	}
	chosen, _ := n.Choice.choose(listed)
	f := Forecast{Projects: len(chosen), Requests: ofNight + ofProject*int64(len(chosen))}
	if err := n.Store.Probe(ctx); err != nil {
		return f, err
	}
	type due struct{ project, iteration schema.ID }
	var all []due
	for _, p := range chosen {
		iterations, committed, err := n.compare(ctx, p.ID)
		if err != nil {
			return f, err
		}
		byID := map[schema.ID]load.Committed{}
		for _, c := range committed {
			byID[c.Iteration] = c
		}
		for _, it := range iterations {
			c, found := byID[it.ID]
			if n.due(it, c, found) == NotTried {
				all = append(all, due{p.ID, it.ID})
			}
		}
	}
	f.Iterations = len(all)
	var images, pages, counted atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(r.Request.Concurrency, 1))
	for _, d := range all[:min(len(all), mostCounted)] {
		group.Go(func() error {
			i, p, err := n.Client.Count(groupCtx, d.project, d.iteration, nil)
			if refused, ok := errors.AsType[*extract.ServiceError](err); ok && !refused.AuthRefused() {
				return nil // of this one alone, perhaps
			}
			if err == nil {
				images.Add(int64(i))
				pages.Add(int64(p))
				counted.Add(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return f, err
	}
	f.Images, f.Counted = images.Load(), int(counted.Load())
	f.Requests += ofIteration * int64(f.Iterations)
	if f.Counted > 0 {
		f.Requests += (pages.Load()*int64(f.Iterations) + int64(f.Counted) - 1) / int64(f.Counted)
	}
	return f, nil
}

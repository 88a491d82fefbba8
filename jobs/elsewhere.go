package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// The other run has read its pages already, and has only its objects left to put.
const (
	elsewhereTimeout  = 5 * time.Minute
	elsewhereMaxPause = 5 * time.Second
)

// CommittedElsewhere is for an export that failed with [store.ErrConflict]: it waits
// for the other run, and returns its export if that is what the request asked for.
func CommittedElsewhere(ctx context.Context, client *extract.Client, s store.Store, r Request) (load.Export, bool) {
	r.setDefaults()
	if len(r.Tags) > 0 || r.Force {
		return load.Export{}, false
	}
	it, err := find(ctx, client, r)
	if err != nil {
		r.Log.Warn("looking for the export of another run", "project", r.Project, "error", err)
		return load.Export{}, false
	}
	e := committedElsewhere(ctx, s, r.Project, it, r.Log)
	if e == nil {
		return load.Export{}, false
	}
	return *e, true
}

func find(ctx context.Context, client *extract.Client, r Request) (extract.Iteration, error) {
	id, err := schema.ParseID(r.Iteration)
	if err != nil {
		return findIteration(ctx, client, r.Project, r.Iteration, completed)
	}
	return client.Iteration(ctx, r.Project, id)
}

// committedElsewhere waits until another run has committed an iteration, of which it
// may have put only the images so far. It returns nil if the result differs from
// what the service has.
func committedElsewhere(ctx context.Context, s store.Store, project schema.ID, it extract.Iteration, log *slog.Logger) *load.Export {
	log = log.With("project", project, "iteration", it.ID)
	log.Info("another run is exporting the iteration, or has just done so; waiting for its commit")
	ctx, cancel := context.WithTimeout(ctx, elsewhereTimeout)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, elsewhereMaxPause) {
		committed, found, err := load.ReadIteration(ctx, s, project, it.ID)
		switch {
		case err == nil && found && committed.Whole && current(it, committed):
			return committed.Export
		case err == nil && found && committed.Whole:
			return nil
		case err != nil && ctx.Err() == nil:
			log.Warn("looking for the export of another run", "error", err)
		}
		if patience.Sleep(ctx, pause) != nil {
			return nil
		}
	}
}

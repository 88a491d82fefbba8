package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// How long another run is waited for, and how long the pauses between two looks
// become. It has read its pages, and puts at most six objects, before each of which
// a folder may wait for readers.
const (
	elsewhereWait  = 5 * time.Minute
	elsewherePause = 5 * time.Second
)

// CommittedElsewhere returns what another run, whose meeting ended the export of a request,
// has committed: the iteration as the service has it. Its second result is false if
// that run did not, or the request asked for something else. It waits for the run.
func CommittedElsewhere(ctx context.Context, client *extract.Client, s store.Store, r Request) (load.Export, bool) {
	r.setDefaults()
	if len(r.Tags) > 0 || r.Force {
		return load.Export{}, false
	}
	it, err := find(ctx, client, r)
	if err != nil {
		r.Log.Warn("looking for what another run exports", "project", r.Project, "error", err)
		return load.Export{}, false
	}
	e := committedElsewhere(ctx, s, r.Project, it, r.Log)
	if e == nil {
		return load.Export{}, false
	}
	return *e, true
}

func find(ctx context.Context, client *extract.Client, r Request) (extract.Iteration, error) {
	if r.Iteration == Latest {
		return findLatest(ctx, client, r.Project)
	}
	id, err := schema.ParseID(r.Iteration)
	if err != nil {
		return extract.Iteration{}, err
	}
	return client.Iteration(ctx, r.Project, id)
}

// committedElsewhere waits until another run, which an export has met, has committed; it may
// have put no more than the images yet. It returns nil if that brings the iteration
// not to where the service has it.
func committedElsewhere(ctx context.Context, s store.Store, project schema.ID, it extract.Iteration, log *slog.Logger) *load.Export {
	log = log.With("project", project, "iteration", it.ID)
	log.Info("another run exports the iteration; waiting for it to end")
	ctx, cancel := context.WithTimeout(ctx, elsewhereWait)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, elsewherePause) {
		h, held, err := load.ReadIteration(ctx, s, project, it.ID)
		switch {
		case err == nil && held && h.Whole && current(it, h):
			return h.Export
		case err == nil && held && h.Whole:
			return nil
		case err != nil && ctx.Err() == nil:
			log.Warn("looking for what another run exports", "error", err)
		}
		if sleep(ctx, pause) != nil {
			return nil
		}
	}
}

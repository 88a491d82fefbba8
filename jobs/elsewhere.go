package jobs

import (
	"context"
	"log/slog"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// How long another run is waited for, and how long the pauses between two looks
// become. It has read its pages, and puts at most six objects, before each of which
// a folder may wait for readers.
const (
	elsewhereWait  = 5 * time.Minute
	elsewherePause = 5 * time.Second
)

// doneElsewhere reports whether another run, which an export has met, brings the
// iteration to where the service has it. It waits until that run has committed;
// it may have put no more than the images yet.
func doneElsewhere(ctx context.Context, s load.Store, project schema.ID, it extract.Iteration, log *slog.Logger) bool {
	log = log.With("project", project, "iteration", it.ID)
	log.Info("another run exports the iteration; waiting for it to end")
	ctx, cancel := context.WithTimeout(ctx, elsewhereWait)
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, elsewherePause) {
		h, held, err := load.ReadIteration(ctx, s, project, it.ID)
		switch {
		case err == nil && held && h.Whole:
			return current(it, h)
		case err != nil && ctx.Err() == nil:
			log.Warn("looking for what another run exports", "error", err)
		}
		if sleep(ctx, pause) != nil {
			return false
		}
	}
}

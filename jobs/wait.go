package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/telemetry"
)

// WaitOptions say how long [Wait] waits.
type WaitOptions struct {
	Interval time.Duration // between two requests
	Timeout  time.Duration
	Log      *slog.Logger // may be nil
}

// Wait waits until the training of an iteration has completed, and returns the
// iteration's id. The iteration is an id or what [names.Find] takes; [Latest] here means
// the one created last, whatever its status. If the training failed, the error wraps
// [ErrRefused]. If the service does not answer, Wait tries again.
func Wait(ctx context.Context, client *extract.Client, project schema.ID, iteration string, w WaitOptions) (_ schema.ID, err error) {
	if w.Log == nil {
		w.Log = slog.New(slog.DiscardHandler)
	}
	ctx, end := telemetry.Span(ctx, "wait", tracing.Attribute{Key: "project", Value: project.String()}, tracing.Attribute{Key: "iteration", Value: iteration})
	defer func() { end(err) }()
	started := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, w.Timeout, fmt.Errorf("it did not end within %s: wait longer with --wait-timeout", w.Timeout))
	defer cancel()
	id, err := w.find(ctx, client, project, iteration)
	if err != nil {
		return schema.ID{}, err
	}
	last := ""
	for {
		it, err := client.Iteration(ctx, project, id)
		switch {
		case ctx.Err() != nil:
			return schema.ID{}, fmt.Errorf("waiting for the training of iteration %s of project %s (%s): %w", id, project, last, context.Cause(ctx))
		case err != nil && !patience.MayPass(err):
			return schema.ID{}, err
		case err != nil:
			w.Log.Warn("the service does not answer; still waiting", "project", project, "iteration", id, "error", err)
		case it.Status == extract.Completed:
			return id, nil
		case it.Status == extract.Failed:
			return schema.ID{}, fmt.Errorf("the training of iteration %s (%s) of project %s failed: %s: %w", id, it.Name, project, details(it), ErrRefused)
		case it.Status != last:
			last = it.Status
			w.Log.Info("waiting for the training to end", "project", project, "iteration", id, "status", it.Status, "duration", time.Since(started))
		}
		if err := patience.Sleep(ctx, w.Interval); err != nil {
			return schema.ID{}, fmt.Errorf("waiting for the training of iteration %s of project %s (%s): %w", id, project, last, context.Cause(ctx))
		}
	}
}

func details(it extract.Iteration) string {
	if it.ErrorDetails != nil && *it.ErrorDetails != "" {
		return *it.ErrorDetails
	}
	return "the service gives no reason; see the portal"
}

// find returns the id of an iteration, as described at [Wait].
func (w WaitOptions) find(ctx context.Context, client *extract.Client, project schema.ID, iteration string) (schema.ID, error) {
	if id, err := schema.ParseID(iteration); err == nil {
		return id, nil
	}
	it, err := findIteration(ctx, client, project, iteration, started)
	return it.ID, err
}

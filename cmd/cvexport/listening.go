package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
)

// listening is what a listener has done so far. Reports and metrics are of all of
// it, so that none of an iteration is lost when the next message comes.
type listening struct {
	*listenCommand
	out    io.Writer
	log    *slog.Logger
	client *extract.Client
	record *record
	night  jobs.ResourceResult
	before extract.Stats // of the client, when the last message had been dealt with
}

// done adds an iteration, prints a line about it, and brings report and metrics up
// to date. A listener goes on without them: the next message writes them again.
func (l *listening) done(ctx context.Context, p jobs.ProjectResult) {
	l.add(p)
	if err := l.write(ctx, failures([]jobs.ResourceResult{l.night})); err != nil {
		l.log.Error("telling of an export", "error", err)
	}
	if err := l.printLine(l.out, p, p.Iterations[0]); err != nil {
		l.log.Error("telling of an export", "error", err)
	}
}

// end writes report and metrics for the last time, and says how the run ended:
// with err, or with what failed and may be in the queue still.
func (l *listening) end(ctx context.Context, err error) error {
	switch {
	case err == nil:
		err = failures([]jobs.ResourceResult{l.night})
	case ctx.Err() == nil:
		l.night.Err = err
	}
	return errors.Join(err, l.write(ctx, err))
}

func (l *listening) write(ctx context.Context, failed error) error {
	l.night.Finished, l.night.Stats = time.Now().UTC(), l.client.Stats()
	l.record.nights = []jobs.ResourceResult{l.night}
	return l.record.write(ctx, failed)
}

// add adds the one iteration of p. What was done about it last counts, but that
// it was found there is no news of one that this run has exported.
func (l *listening) add(p jobs.ProjectResult) {
	now, it := l.client.Stats(), p.Iterations[0]
	p.Stats, l.before = now.Sub(l.before), now
	at := slices.IndexFunc(l.night.Projects, func(have jobs.ProjectResult) bool { return have.ID == p.ID })
	if at < 0 {
		at = len(l.night.Projects)
		l.night.Projects = append(l.night.Projects, jobs.ProjectResult{ID: p.ID})
		l.night.Wanted++
	}
	have := &l.night.Projects[at]
	have.Stats = have.Stats.Add(p.Stats)
	if it.Result != nil {
		have.Name = text(it.Result.Export.ProjectName)
	}
	i := slices.IndexFunc(have.Iterations, func(old jobs.IterationResult) bool { return old.ID == it.ID })
	switch {
	case i < 0:
		have.Iterations = append(have.Iterations, it)
	case it.Outcome != jobs.Present || have.Iterations[i].Outcome != jobs.Exported:
		have.Iterations[i] = it
	}
}

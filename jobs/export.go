package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/telemetry"
	"github.com/cvexport/cvexport/internal/recycle"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// Latest names the completed iteration that was trained last.
const Latest = "latest"

// attempts is how often an iteration is read in all when its images do not add up.
const attempts = 3

// Request is one iteration to export, and how.
type Request struct {
	Project   schema.ID
	Iteration string   // an id, or Latest
	Tags      []string // names or ids; none: every image

	Concurrency          int     // pages in flight
	ProbabilityThreshold float64 // at which the service's own figures are asked for, 0 to 1
	OverlapThreshold     float64 // the same, for boxes
	KeepSAS              bool    // keep the secrets in image URIs
	Force                bool    // replace an export that has more images
	SpoolDir             string  // for temporary files; empty: the system's
	Version              string  // of this program

	Progress Progress         // may be nil
	Log      *slog.Logger     // may be nil
	Memory   memory.Allocator // may be nil
}

// Progress is told how far an export is. It is called by one goroutine at a time.
type Progress interface {
	Begun(project, iteration schema.ID)
	Planned(images, pages int) // a listing begins; a filter of many tags has several
	Delivered(images int)      // one more page is in the spool
	Restarted()                // what was delivered does not count: it begins again
	Publishing()
}

// Result is what an export did.
type Result struct {
	Export   load.Export
	Replaced *load.Export // the export it replaced, if there was one
	Pages    int
	Attempts int
	Stats    extract.Stats
	Unknown  map[string]int // fields of the service that were skipped, by path
	Elapsed  time.Duration
}

// ErrRefused marks an export that would lose something, or of an iteration that
// cannot be exported.
var ErrRefused = errors.New("refused")

// errFewer is the ErrRefused of an export that would hold fewer images.
var errFewer = fmt.Errorf("%w: it would lose images", ErrRefused)

// Export copies one iteration into the warehouse: it asks what there is, reads
// every image into one spool file a table, and publishes these. If it fails, or
// ctx ends, before the publishing, the warehouse is as it was.
func Export(ctx context.Context, client *extract.Client, store load.Store, r Request) (_ Result, err error) {
	r.setDefaults()
	ctx, end := telemetry.Span(ctx, "export", tracing.Attribute{Key: "project", Value: r.Project.String()}, tracing.Attribute{Key: "iteration", Value: r.Iteration})
	defer func() { end(err) }()
	started, before := time.Now(), client.Stats()
	plan, err := Prepare(ctx, client, store, r)
	if err != nil {
		return Result{}, err
	}
	if plan.Refusal != nil && !r.Force {
		return Result{}, plan.Refusal
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Result{}, fmt.Errorf("making an export id: %w", err)
	}
	exportID := schema.ID(id)
	r.Progress.Begun(r.Project, plan.Iteration.ID)

	var performance extract.Performance
	var read *reading
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		performance, err = client.Performance(groupCtx, r.Project, plan.Iteration.ID, r.ProbabilityThreshold, r.OverlapThreshold)
		return err
	})
	group.Go(func() (err error) {
		read, err = readImages(groupCtx, client, &plan, r, exportID)
		return err
	})
	err = group.Wait()
	if read != nil {
		defer read.close()
	}
	if err != nil {
		return Result{}, err
	}
	if err := plan.checkImages(int64(read.images), r.Force); err != nil {
		return Result{}, err
	}
	figures, err := tagPerformances(r.Memory, exportID, performance, plan.IterationTags)
	if err != nil {
		return Result{}, err
	}
	tables, err := read.finish(figures)
	if err != nil {
		return Result{}, err
	}

	r.Progress.Publishing()
	e := plan.export(exportID, client, performance, r, started)
	committed, err := load.Publish(ctx, store, e, tables, plan.Prior)
	if err != nil {
		return Result{}, err
	}
	r.Log.Info("exported", "project", r.Project, "iteration", plan.Iteration.ID, "export", exportID, "images", committed.Images, "duration", time.Since(started))
	return Result{
		Export: committed, Replaced: plan.Prior.Export(), Pages: read.pages, Attempts: read.attempts,
		Stats: client.Stats().Sub(before), Unknown: read.unknown, Elapsed: time.Since(started),
	}, nil
}

func (r *Request) setDefaults() {
	if r.Progress == nil {
		r.Progress = silent{}
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	if r.Memory == nil {
		r.Memory = recycle.New()
	}
}

type silent struct{}

func (silent) Begun(schema.ID, schema.ID) {}
func (silent) Planned(int, int)           {}
func (silent) Delivered(int)              {}
func (silent) Restarted()                 {}
func (silent) Publishing()                {}

// Plan is what an export would read and write.
type Plan struct {
	Project       extract.Project
	Iteration     extract.Iteration
	IterationTags []extract.Tag // all of the iteration's
	Filter        []extract.Tag // those asked for; none: every image
	Prior         load.Prior
	Images, Pages int   // what there is to read now; with many tags an image may be counted twice
	Refusal       error // why it would not be done without force; nil if it would
}

// Prepare asks the service and the warehouse what there is. It changes nothing.
func Prepare(ctx context.Context, client *extract.Client, store load.Store, r Request) (p Plan, err error) {
	r.setDefaults()
	if p, err = ask(ctx, client, store, r); err != nil {
		return Plan{}, err
	}
	if prior := p.Prior.Export(); prior != nil && len(prior.TagFilter) == 0 && len(p.Filter) > 0 {
		p.Refusal = fmt.Errorf("iteration %s of project %s is exported with all its %d images, and this export would keep only those with %d of its tags: leave --tag out, or replace it with --force: %w",
			p.Iteration.ID, r.Project, prior.Images, len(p.Filter), ErrRefused)
	}
	if err := p.Prior.Damaged(); err != nil {
		p.Refusal = fmt.Errorf("what is exported of iteration %s of project %s is not known, and could be more than there is now: %w; replace it with --force: %w",
			p.Iteration.ID, r.Project, err, ErrRefused)
	}
	if p.Refusal == nil && len(p.Filter) <= 1 { // with several groups of tags the count says too much
		p.Refusal = p.checkImages(int64(p.Images), false)
	}
	return p, nil
}

// ask asks for what a plan needs all at once: with a service that takes its time,
// one question after the other is most of a small export. Of what went wrong, it
// tells what would have been asked for first.
func ask(ctx context.Context, client *extract.Client, store load.Store, r Request) (p Plan, err error) {
	var ofProject, ofIteration, ofTags, ofCount, ofPrior error
	id, err := schema.ParseID(r.Iteration)
	if r.Iteration == Latest {
		p.Iteration, err = findLatest(ctx, client, r.Project)
		id = p.Iteration.ID
	} else if err != nil {
		err = fmt.Errorf("iteration: %w", err)
	}
	if err != nil {
		return Plan{}, err
	}
	var questions sync.WaitGroup
	questions.Go(func() { p.Project, ofProject = client.Project(ctx, r.Project) })
	if r.Iteration != Latest {
		questions.Go(func() { p.Iteration, ofIteration = client.Iteration(ctx, r.Project, id) })
	}
	questions.Go(func() { p.IterationTags, ofTags = client.Tags(ctx, r.Project, id) })
	questions.Go(func() { p.Prior, ofPrior = load.ReadPrior(ctx, store, r.Project, id) })
	if len(r.Tags) == 0 { // else the tags say what to count
		questions.Go(func() { p.Images, p.Pages, ofCount = client.Count(ctx, r.Project, id, nil) })
	}
	questions.Wait()
	switch {
	case ofProject != nil:
		return Plan{}, ofProject
	case ofIteration != nil:
		return Plan{}, ofIteration
	case p.Iteration.Status != extract.Completed:
		return Plan{}, fmt.Errorf("iteration %s (%s) of project %s is %q, not %s, so it has no results to export: wait until its training has ended: %w",
			id, p.Iteration.Name, r.Project, p.Iteration.Status, extract.Completed, ErrRefused)
	case ofTags != nil:
		return Plan{}, ofTags
	}
	if p.Filter, err = chooseTags(p.IterationTags, r.Tags); err != nil {
		return Plan{}, fmt.Errorf("project %s, iteration %s: %w", r.Project, id, err)
	}
	if len(p.Filter) > 0 {
		p.Images, p.Pages, ofCount = client.Count(ctx, r.Project, id, p.tagIDs())
	}
	return p, cmp.Or(ofCount, ofPrior)
}

func (p *Plan) tagIDs() []schema.ID {
	var ids []schema.ID
	for _, tag := range p.Filter {
		ids = append(ids, tag.ID)
	}
	return ids
}

// checkImages refuses to replace an export by one with fewer images.
func (p *Plan) checkImages(images int64, force bool) error {
	prior := p.Prior.Export()
	if prior == nil || images >= prior.Images || force {
		return nil
	}
	return fmt.Errorf("iteration %s of project %s is exported with %d images, and the service now has %d: the fuller export stays; replace it with --force: %w",
		p.Iteration.ID, p.Project.ID, prior.Images, images, errFewer)
}

func findLatest(ctx context.Context, client *extract.Client, project schema.ID) (extract.Iteration, error) {
	list, err := client.Iterations(ctx, project)
	if err != nil {
		return extract.Iteration{}, err
	}
	var latest *extract.Iteration
	for i := range list {
		it := &list[i]
		if it.Status == extract.Completed && it.TrainedAt != nil && (latest == nil || it.TrainedAt.After(latest.TrainedAt.Time)) {
			latest = it
		}
	}
	if latest == nil {
		return extract.Iteration{}, fmt.Errorf("project %s has no completed iteration among its %d: train one first: %w", project, len(list), ErrRefused)
	}
	return *latest, nil
}

// chooseTags finds the tags asked for, by id or by name.
func chooseTags(tags []extract.Tag, asked []string) ([]extract.Tag, error) {
	var chosen []extract.Tag
	for _, want := range asked {
		i, err := findTag(tags, want)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, tags[i])
	}
	return chosen, nil
}

func findTag(tags []extract.Tag, want string) (int, error) {
	for i, tag := range tags {
		if tag.Name == want {
			return i, nil
		}
	}
	if id, err := schema.ParseID(want); err == nil {
		for i, tag := range tags {
			if tag.ID == id {
				return i, nil
			}
		}
	}
	names := make([]string, 0, 20)
	for _, tag := range tags[:min(len(tags), cap(names))] {
		names = append(names, fmt.Sprintf("%q", tag.Name))
	}
	return 0, fmt.Errorf("the iteration has no tag %q; it has %d, such as %v", want, len(tags), names)
}

// image_index is an int32.
const maxImages = math.MaxInt32

// Package jobs composes extract, transform and load. [Export] exports one
// iteration; read it first. [Nightly] and [Listen] export many.
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/telemetry"
)

// Latest stands for the completed iteration that was trained last.
const Latest = names.Latest

// maxAttempts limits how often an iteration is read when it changes meanwhile.
const maxAttempts = 3

// Request says which iteration to export, and how.
type Request struct {
	Project   schema.ID
	Iteration string   // an id, or what [names.Find] takes; an id needs no listing
	Tags      []string // names or ids; none: every image

	Concurrency          int     // pages fetched at once
	ProbabilityThreshold float64 // for the service's own figures, 0 to 1
	OverlapThreshold     float64 // for the service's own figures, 0 to 1
	KeepSAS              bool    // keep the secrets in image URIs
	Force                bool    // replace an export even if it has more images
	SpoolDir             string  // for temporary files; empty: the system's
	Version              string  // of this program

	Progress Progress         // may be nil
	Log      *slog.Logger     // may be nil
	Memory   memory.Allocator // may be nil
}

// Progress reports on a running export. Its methods are not called concurrently.
type Progress interface {
	Begun(project, iteration schema.ID)
	Planned(images, pages int) // a listing starts; a filter of many tags has several
	Delivered(images int)      // one more page is spooled
	Restarted()                // the delivered pages are dropped, and reading starts over
	Publishing()
}

// Result describes a finished export.
type Result struct {
	Export   load.Export
	Replaced *load.Export // nil if there was none
	Pages    int
	Attempts int
	Stats    extract.Stats
	Unknown  map[string]int    // fields of the service's pages that were skipped, by path
	Unread   map[string]string // as in transform.Records
	Elapsed  time.Duration
}

// ErrRefused marks an export that would lose data, or an iteration that cannot
// be exported.
var ErrRefused = errors.New("refused")

// errFewer is the ErrRefused of an export with fewer images than the present one.
var errFewer = fmt.Errorf("%w: it would lose images", ErrRefused)

// Export copies one iteration into the warehouse: it reads every image into one
// spool file per table, and publishes the files. An export that fails or is
// cancelled before publishing leaves the warehouse unchanged.
func Export(ctx context.Context, client *extract.Client, warehouse store.Store, r Request) (Result, error) {
	_, result, err := export(ctx, client, warehouse, r, nil)
	return result, err
}

// exportUnless exports an iteration unless present, such as current, says that the
// warehouse has it; the outcome is then Present.
func exportUnless(ctx context.Context, client *extract.Client, warehouse store.Store, r Request, present func(extract.Iteration, load.Committed) bool) (out IterationResult) {
	plan, result, err := export(ctx, client, warehouse, r, present)
	out = IterationResult{Name: plan.Iteration.Name, Project: plan.Project.Name, Status: plan.Iteration.Status}
	switch {
	case plan.current:
		out.Outcome = Present
	case err == nil:
		out.Outcome, out.Result = Exported, &result
	case errors.Is(err, store.ErrConflict) && committedElsewhere(ctx, warehouse, r.Project, plan.Iteration, r.Log) != nil:
		out.Outcome = Elsewhere
	case errors.Is(err, errFewer):
		out.Outcome, out.Err = Kept, err
	default:
		out.Outcome, out.Err = Failed, err
	}
	return out
}

// export exports an iteration, unless present says that the warehouse has it; present may
// be nil.
func export(ctx context.Context, client *extract.Client, warehouse store.Store, r Request, present func(extract.Iteration, load.Committed) bool) (plan Plan, _ Result, err error) {
	r.setDefaults()
	ctx, end := telemetry.Span(ctx, "export", tracing.Attribute{Key: "project", Value: r.Project.String()}, tracing.Attribute{Key: "iteration", Value: r.Iteration})
	defer func() { end(err) }()
	started, before := time.Now(), client.Stats()
	if plan, err = Prepare(ctx, client, warehouse, r); err != nil {
		return plan, Result{}, err
	}
	if present != nil {
		// Compare after Prepare has read what Publish will expect to replace: a run that
		// commits before this comparison is seen here, one that commits later is a conflict.
		committed, found, err := load.ReadIteration(ctx, warehouse, r.Project, plan.Iteration.ID)
		if plan.current = found && present(plan.Iteration, committed); err != nil || plan.current {
			return plan, Result{}, err
		}
	}
	if plan.Refusal != nil && !r.Force {
		return plan, Result{}, plan.Refusal
	}
	if err := warehouse.Probe(ctx); err != nil { // better known now than after the last page
		return plan, Result{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return plan, Result{}, fmt.Errorf("making an export id: %w", err)
	}
	exportID := schema.ID(id)
	r.Progress.Begun(r.Project, plan.Iteration.ID)

	var performance extract.Performance
	var read *reading
	var domainKind string
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		performance, err = client.Performance(groupCtx, r.Project, plan.Iteration.ID, r.ProbabilityThreshold, r.OverlapThreshold)
		return err
	})
	group.Go(func() (err error) {
		domainKind, err = plan.domainKind(groupCtx, client, r.Log)
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
		return plan, Result{}, err
	}
	if err := plan.checkImages(int64(read.images), r.Force); err != nil {
		return plan, Result{}, err
	}
	figures, err := tagPerformances(r.Memory, exportID, performance, plan.IterationTags)
	if err != nil {
		return plan, Result{}, err
	}
	missing := plan.figuresMissing(performance, int(figures.NumRows()))
	tables, err := read.finish(figures)
	if err != nil {
		return plan, Result{}, err
	}

	if missing != "" {
		r.Log.Warn("the service's own figures are missing and are null; nightly asks for them again", "project", r.Project, "iteration", plan.Iteration.ID, "cause", missing)
	}
	record := plan.record(exportID, client, performance, missing, r, started)
	record.ModelKind = plan.modelKind(domainKind, read.boxes, r.Log)

	r.Progress.Publishing()
	committed, err := load.Publish(ctx, warehouse, record, tables, plan.Prior)
	if err != nil {
		return plan, Result{}, err
	}
	r.Log.Info("exported", "project", r.Project, "iteration", plan.Iteration.ID, "export", exportID, "images", committed.Images(), "duration", time.Since(started))
	return plan, Result{
		Export: committed, Replaced: plan.Prior.Export(), Pages: read.pages, Attempts: read.attempts,
		Stats: client.Stats().Sub(before), Unknown: read.unknown, Unread: read.unread, Elapsed: time.Since(started),
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
		r.Memory = memory.DefaultAllocator
	}
}

type silent struct{}

func (silent) Begun(schema.ID, schema.ID) {}
func (silent) Planned(int, int)           {}
func (silent) Delivered(int)              {}
func (silent) Restarted()                 {}
func (silent) Publishing()                {}

// Plan describes what an export would read and replace.
type Plan struct {
	Project       extract.Project
	Iteration     extract.Iteration
	IterationTags []extract.Tag // all tags of the iteration
	Filter        []extract.Tag // the requested tags; none: every image
	Prior         load.Prior
	Images, Pages int   // to read; with more tags than one request takes, an image may be counted twice
	Refusal       error // why the export needs Force; nil if it does not

	current bool // the warehouse has the iteration as the service does, and nothing was exported
}

// Prepare plans an export. It changes nothing. With an error, the plan holds what
// could be read.
func Prepare(ctx context.Context, client *extract.Client, warehouse store.Store, r Request) (p Plan, err error) {
	r.setDefaults()
	if p, err = readPlan(ctx, client, warehouse, r); err != nil {
		return p, err
	}
	if prior := p.Prior.Export(); prior != nil && len(prior.TagFilter) == 0 && len(p.Filter) > 0 {
		p.Refusal = fmt.Errorf("iteration %s (%s) of project %s (%s) is exported with all its %d images, and this export would keep only those with %d of its tags: omit --tag, or replace it with --force: %w",
			p.Iteration.ID, p.Iteration.Name, r.Project, p.Project.Name, prior.Images(), len(p.Filter), ErrRefused)
	}
	if err := p.Prior.Damaged(); err != nil {
		p.Refusal = fmt.Errorf("%w: the present export cannot be read, and might have more images than the service has now (%w); to replace it, run cvexport export --project %s --iteration %s --force",
			ErrRefused, err, r.Project, p.Iteration.ID)
	}
	if p.Refusal == nil && len(p.Filter) <= 1 { // several groups of tags may count an image twice
		p.Refusal = p.checkImages(int64(p.Images), false)
	}
	return p, nil
}

// readPlan makes the requests of a plan concurrently: one after another they would
// take most of the time of a small export. If several fail, the error is that of
// the first in a fixed order.
func readPlan(ctx context.Context, client *extract.Client, warehouse store.Store, r Request) (p Plan, err error) {
	var projectErr, iterationErr, tagsErr, countErr, priorErr error
	id, err := schema.ParseID(r.Iteration)
	isID := err == nil
	if !isID {
		if p.Iteration, err = findIteration(ctx, client, r.Project, r.Iteration, completed); err != nil {
			return p, err
		}
		id = p.Iteration.ID
	}
	var requests sync.WaitGroup
	requests.Go(func() { p.Project, projectErr = client.Project(ctx, r.Project) })
	if isID {
		requests.Go(func() { p.Iteration, iterationErr = client.Iteration(ctx, r.Project, id) })
	}
	requests.Go(func() { p.IterationTags, tagsErr = client.Tags(ctx, r.Project, id) })
	requests.Go(func() { p.Prior, priorErr = load.ReadPrior(ctx, warehouse, schema.Evaluation, r.Project, id) })
	if len(r.Tags) == 0 { // else counted below, once the tags are known
		requests.Go(func() { p.Images, p.Pages, countErr = client.Count(ctx, r.Project, id, nil) })
	}
	requests.Wait()
	switch {
	case projectErr != nil:
		return p, projectErr
	case iterationErr != nil:
		return p, iterationErr
	case p.Iteration.Status != extract.Completed:
		return p, fmt.Errorf("iteration %s (%s) of project %s (%s) is %q, not %s, so it has no results to export: wait until its training has ended: %w",
			id, p.Iteration.Name, r.Project, p.Project.Name, p.Iteration.Status, extract.Completed, ErrRefused)
	case tagsErr != nil:
		return p, tagsErr
	}
	if p.Filter, err = chooseTags(p.IterationTags, r.Tags); err != nil {
		return p, fmt.Errorf("project %s, iteration %s: %w", r.Project, id, err)
	}
	if len(p.Filter) > 0 {
		p.Images, p.Pages, countErr = client.Count(ctx, r.Project, id, p.tagIDs())
	}
	return p, cmp.Or(countErr, priorErr)
}

func (p *Plan) tagIDs() []schema.ID {
	var ids []schema.ID
	for _, tag := range p.Filter {
		ids = append(ids, tag.ID)
	}
	return ids
}

// checkImages refuses to replace an export with one of fewer images.
func (p *Plan) checkImages(images int64, force bool) error {
	prior := p.Prior.Export()
	if prior == nil || images >= prior.Images() || force {
		return nil
	}
	return fmt.Errorf("iteration %s (%s) of project %s (%s) is exported with %d images, and the service now has %d: the larger export stays; replace it with --force: %w",
		p.Iteration.ID, p.Iteration.Name, p.Project.ID, p.Project.Name, prior.Images(), images, errFewer)
}

// chooseTags finds tags by name or id.
func chooseTags(tags []extract.Tag, wanted []string) ([]extract.Tag, error) {
	var chosen []extract.Tag
	for _, want := range wanted {
		i, err := findTag(tags, want)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, tags[i])
	}
	return chosen, nil
}

func findTag(tags []extract.Tag, want string) (int, error) {
	if i := slices.IndexFunc(tags, func(t extract.Tag) bool { return t.Name == want }); i >= 0 {
		return i, nil
	}
	if id, err := schema.ParseID(want); err == nil {
		if i := slices.IndexFunc(tags, func(t extract.Tag) bool { return t.ID == id }); i >= 0 {
			return i, nil
		}
	}
	names := make([]string, 0, 20)
	for _, tag := range tags[:min(len(tags), cap(names))] {
		names = append(names, fmt.Sprintf("%q", tag.Name))
	}
	return 0, fmt.Errorf("the iteration has no tag %q; it has %d, such as %v", want, len(tags), names)
}

// maxImages is the limit of image_index, an int32.
const maxImages = math.MaxInt32

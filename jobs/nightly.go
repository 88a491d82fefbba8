package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"
	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/telemetry"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Resource is a Custom Vision resource and where its iterations go.
type Resource struct {
	Name   string // for people; unique among those of one run
	Client *extract.Client
	Store  store.Store
	Choice Choice
	Err    error // why it cannot be tried, such as a key that is not there; then it needs no more than a name

	// Request says how an iteration is exported; its Project, Iteration, Tags,
	// Force, Progress and Log are set for each.
	Request Request
}

// NightlyOptions are the same for every resource.
type NightlyOptions struct {
	Shard    Shard
	DryRun   bool                           // only say what is due
	Progress func(resource string) Progress // of one export; may be nil
	Log      *slog.Logger                   // may be nil
}

// Outcome is what a night did about one iteration.
type Outcome string

// The outcomes.
const (
	Exported     Outcome = "exported"
	Due          Outcome = "due"           // a dry run would have exported it
	Present      Outcome = "present"       // it was exported before, as it is now
	Kept         Outcome = "kept"          // it changed, but what is exported holds more, and stays
	Elsewhere    Outcome = "elsewhere"     // another run exported it meanwhile
	NotCompleted Outcome = "not_completed" // it has no results: in training, or failed
	Archived     Outcome = "archived"      // the service no longer has it, the warehouse does
	FailedToDo   Outcome = "failed"
	NotTried     Outcome = "not_tried" // the run ended before
	OtherShard   Outcome = "other_shard"
)

// IterationNight is what was done about one iteration.
type IterationNight struct {
	ID      schema.ID
	Name    string
	Status  string // the service's
	Outcome Outcome
	Err     error   // why it failed or was kept
	Result  *Result // if it was exported
}

// ProjectNight is what was done about one project.
type ProjectNight struct {
	ID         schema.ID
	Name       string
	Err        error // its iterations could not be compared; nothing of it was exported
	Iterations []IterationNight

	// Listed is how many iterations the service has. From AlmostFull on, the
	// Oldest is about to be deleted by someone.
	Listed int
	Oldest *IterationNight

	Stats extract.Stats // what it took
}

// AlmostFull is from how many iterations on a project is reported; the service
// keeps [extract.MaxIterations].
const AlmostFull = extract.MaxIterations - 2

// ResourceNight is what was done about one resource.
type ResourceNight struct {
	Name     string
	Host     string
	Err      error          // its projects could not be listed, or its key was refused on the way
	All      bool           // every project of it is wanted
	Wanted   int            // projects that are wanted
	Projects []ProjectNight // those looked at, and those that only the warehouse has left
	Stats    extract.Stats
	Started  time.Time
	Finished time.Time

	gone []schema.ID // wanted, and neither listed nor in the warehouse
}

// Nightly brings the warehouse up to date: it exports every completed iteration
// that the warehouse does not hold as it is now, oldest first. What is done
// already is read from the warehouse alone. An iteration that fails does not stop
// the others, nor does a resource: what went wrong stands in the result, which
// has one entry a resource, in order. The error is that ctx ended.
func Nightly(ctx context.Context, resources []Resource, o NightlyOptions) ([]ResourceNight, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) Progress { return silent{} }
	}
	nights := make([]ResourceNight, len(resources))
	var group errgroup.Group
	for i, r := range resources {
		n := night{Resource: r, NightlyOptions: o, out: &nights[i]}
		n.Log = o.Log.With("resource", r.Name)
		group.Go(func() error { n.run(ctx); return nil })
	}
	err := group.Wait()
	for i, r := range resources {
		for _, id := range nights[i].gone {
			if r.Choice.Shared && elsewhereHas(resources, nights, i, id) {
				continue
			}
			p := ProjectNight{ID: id, Err: fmt.Errorf("resource %s has no project %s, nor has the warehouse: check the project's id, and that the endpoint is the resource it is in", r.Name, id)}
			o.Log.Error("the project failed", "resource", r.Name, "project", id, "error", p.Err)
			nights[i].Projects = append(nights[i].Projects, p)
		}
	}
	return nights, errors.Join(err, ctx.Err())
}

// elsewhereHas reports whether one of the resources that a project was asked of has
// it, may have it, or tells of it before.
func elsewhereHas(resources []Resource, nights []ResourceNight, at int, id schema.ID) bool {
	for i := range nights {
		asked := i != at && resources[i].Choice.Shared && slices.Contains(resources[i].Choice.IDs, id)
		if asked && (i < at || nights[i].Err != nil || !slices.Contains(nights[i].gone, id)) {
			return true
		}
	}
	return false
}

// night is the night of one resource.
type night struct {
	Resource
	NightlyOptions
	out *ResourceNight
}

func (n *night) run(ctx context.Context) {
	*n.out = ResourceNight{Name: n.Name, Err: n.Err, All: n.Choice.all(), Started: time.Now().UTC()}
	if n.Err == nil {
		before := n.Client.Stats()
		n.out.Host = n.Client.Host()
		n.out.Err = n.projects(ctx)
		n.out.Stats = n.Client.Stats().Sub(before)
	}
	n.out.Finished = time.Now().UTC()
	if n.out.Err != nil && ctx.Err() == nil {
		n.Log.Error("the resource failed", "error", n.out.Err)
	}
}

func (n *night) projects(ctx context.Context) error {
	listed, err := n.list(ctx)
	if err != nil {
		return err
	}
	chosen, gone := n.Choice.choose(listed)
	n.out.Wanted = len(chosen)
	for _, c := range chosen {
		p, before := ProjectNight{ID: c.ID, Name: c.Name}, n.Client.Stats()
		p.Err = n.project(ctx, &p)
		p.Stats = n.Client.Stats().Sub(before)
		n.out.Projects = append(n.out.Projects, p)
		if err := ctx.Err(); err != nil {
			return err
		}
		if p.Err != nil {
			n.Log.Error("the project failed", "project", p.ID, "error", p.Err)
		}
		if refused := p.refused(); refused != nil {
			return refused // and would be for all the others
		}
	}
	if n.Choice.all() {
		if gone, err = n.vanished(ctx, listed); err != nil {
			return err
		}
	}
	for _, id := range gone {
		p, err := n.archived(ctx, id)
		switch {
		case err != nil:
			return err
		case len(p.Iterations) > 0:
			n.out.Projects = append(n.out.Projects, p)
		case !n.Choice.all():
			n.out.gone = append(n.out.gone, id)
		}
	}
	return nil
}

func (n *night) list(ctx context.Context) (_ []extract.Project, err error) {
	ctx, end := telemetry.Span(ctx, "list", tracing.Attribute{Key: "resource", Value: n.Name})
	defer func() { end(err) }()
	return n.Client.Projects(ctx)
}

// refused is the first error that says that the key was.
func (p *ProjectNight) refused() error {
	if extract.AuthRefused(p.Err) {
		return p.Err
	}
	for _, it := range p.Iterations {
		if extract.AuthRefused(it.Err) {
			return it.Err
		}
	}
	return nil
}

// project compares what the service has with what the warehouse holds, and
// exports the difference.
func (n *night) project(ctx context.Context, p *ProjectNight) error {
	listed, held, err := n.compare(ctx, p.ID)
	if err != nil {
		return err
	}
	byID := map[schema.ID]load.Held{}
	for _, h := range held {
		byID[h.Iteration] = h
	}
	slices.SortStableFunc(listed, func(a, b extract.Iteration) int { return timeOf(a.Created).Compare(timeOf(b.Created)) })
	for _, it := range listed {
		h, ok := byID[it.ID]
		p.Iterations = append(p.Iterations, IterationNight{ID: it.ID, Name: it.Name, Status: it.Status, Outcome: n.due(it, h, ok)})
		delete(byID, it.ID)
	}
	for _, h := range held {
		if _, gone := byID[h.Iteration]; gone && h.Export != nil {
			p.Iterations = append(p.Iterations, IterationNight{ID: h.Iteration, Name: deref(h.Export.IterationName), Status: h.Export.Status, Outcome: Archived})
		}
	}
	p.Listed = len(listed)
	if p.Listed > 0 {
		p.Oldest = &p.Iterations[0]
	}
	n.export(ctx, p, listed)
	if p.Listed >= AlmostFull {
		n.Log.Warn("the project is almost full: its oldest iteration is about to be deleted by someone", "project", p.ID,
			"iterations", p.Listed, "of", extract.MaxIterations, "iteration", p.Oldest.ID, "outcome", p.Oldest.Outcome)
	}
	return nil
}

// compare asks service and warehouse for the iterations of a project.
func (n *night) compare(ctx context.Context, project schema.ID) (listed []extract.Iteration, held []load.Held, err error) {
	ctx, end := telemetry.Span(ctx, "compare", tracing.Attribute{Key: "project", Value: project.String()})
	defer func() { end(err) }()
	if listed, err = n.Client.Iterations(ctx, project); err != nil {
		return nil, nil, err
	}
	held, err = load.ReadHeld(ctx, n.Store, project)
	return listed, held, err
}

// due decides about one iteration of the service.
func (n *night) due(it extract.Iteration, h load.Held, held bool) Outcome {
	switch {
	case it.Status != extract.Completed:
		return NotCompleted
	case held && current(it, h):
		return Present
	case !n.Shard.Has(it.ID):
		return OtherShard
	case n.DryRun:
		return Due
	}
	return NotTried // until it is
}

// current reports whether the warehouse holds the iteration as the service has it.
func current(it extract.Iteration, h load.Held) bool {
	e := h.Export
	return h.Whole && e.SchemaVersion >= schema.Version && len(e.TagFilter) == 0 &&
		e.TrainedAt.Equal(timeOf(it.TrainedAt)) && e.LastModified.Equal(timeOf(it.LastModified))
}

func (n *night) export(ctx context.Context, p *ProjectNight, listed []extract.Iteration) {
	for i := range p.Iterations {
		it := &p.Iterations[i]
		if it.Outcome != NotTried || ctx.Err() != nil {
			continue
		}
		r := n.Request
		r.Project, r.Iteration = p.ID, it.ID.String()
		r.Log, r.Progress = n.Log, n.Progress(n.Name)
		if n.since(ctx, p.ID, listed[i]) {
			it.Outcome = Elsewhere
			continue
		}
		result, err := Export(ctx, n.Client, n.Store, r)
		switch {
		case err == nil:
			it.Outcome, it.Result = Exported, &result
		case ctx.Err() != nil: // not tried to its end
		case errors.Is(err, store.ErrConflict) && committedElsewhere(ctx, n.Store, p.ID, listed[i], n.Log) != nil:
			it.Outcome = Elsewhere
		case errors.Is(err, errFewer):
			it.Outcome, it.Err = Kept, err
			n.Log.Warn("the fuller export stays", "project", p.ID, "iteration", it.ID, "cause", err)
		default:
			it.Outcome, it.Err = FailedToDo, err
			n.Log.Error("the iteration failed", "project", p.ID, "iteration", it.ID, "error", err)
		}
		if extract.AuthRefused(err) {
			return
		}
	}
}

// since reports whether another run has exported the iteration since the night's
// comparison, which in a large project is hours ago. Export meets what goes wrong
// with the looking, and tells it.
func (n *night) since(ctx context.Context, project schema.ID, it extract.Iteration) bool {
	h, held, err := load.ReadIteration(ctx, n.Store, project, it.ID)
	return err == nil && held && current(it, h)
}

// vanished returns the projects that only the warehouse has left.
func (n *night) vanished(ctx context.Context, listed []extract.Project) ([]schema.ID, error) {
	projects, err := load.HeldProjects(ctx, n.Store)
	return slices.DeleteFunc(projects, func(id schema.ID) bool {
		return slices.ContainsFunc(listed, func(p extract.Project) bool { return p.ID == id })
	}), err
}

// archived is a project as the warehouse holds it of this resource.
func (n *night) archived(ctx context.Context, id schema.ID) (ProjectNight, error) {
	p := ProjectNight{ID: id}
	held, err := load.ReadHeld(ctx, n.Store, id)
	for _, h := range held {
		if h.Export != nil && h.Export.EndpointHost == n.Client.Host() { // others are of other resources
			p.Name = deref(h.Export.ProjectName)
			p.Iterations = append(p.Iterations, IterationNight{ID: h.Iteration, Name: deref(h.Export.IterationName), Status: h.Export.Status, Outcome: Archived})
		}
	}
	return p, err
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

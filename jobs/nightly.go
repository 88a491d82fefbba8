package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/tracing"
	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/telemetry"
)

// Resource is a Custom Vision resource and where its iterations go.
type Resource struct {
	Name   string // unique among those of one run
	Client *extract.Client
	Store  store.Store
	Choice Choice
	Err    error // why it cannot be used, such as a missing key; all but Name may then be zero

	// Request is a template for each export. Project, Iteration, Progress and Log
	// are set per export; Tags and Force must be zero.
	Request Request
}

// NightlyOptions apply to every resource.
type NightlyOptions struct {
	Shard    Shard
	DryRun   bool                           // only report what is due
	Strict   bool                           // a resource without a project to look at has failed
	Progress func(resource string) Progress // of one export; may be nil
	Log      *slog.Logger                   // may be nil
}

// Outcome says what happened to one iteration.
type Outcome string

// The outcomes.
const (
	Exported     Outcome = "exported"
	Due          Outcome = "due"           // a dry run would have exported it
	Present      Outcome = "present"       // already exported, and unchanged since
	Kept         Outcome = "kept"          // changed, but the present export has more images and was kept
	Elsewhere    Outcome = "elsewhere"     // another run exported it meanwhile
	NotCompleted Outcome = "not_completed" // still training, or its training failed
	Archived     Outcome = "archived"      // deleted from the service, kept in the warehouse
	Failed       Outcome = "failed"
	NotTried     Outcome = "not_tried" // the run ended before
	OtherShard   Outcome = "other_shard"
)

// IterationResult says what happened to one iteration.
type IterationResult struct {
	ID      schema.ID
	Name    string
	Project string // its project's name, of a single export
	Status  string // the service's
	Outcome Outcome
	Err     error   // if the outcome is Failed or Kept
	Result  *Result // if the outcome is Exported
}

// ProjectResult says what happened to one project.
type ProjectResult struct {
	ID         schema.ID
	Name       string
	Err        error // the comparison failed, and nothing was exported
	Iterations []IterationResult

	Listed int              // iterations that the service has
	Oldest *IterationResult // of those; someone is about to delete it once Listed reaches AlmostFull

	Stats extract.Stats
}

// AlmostFull is the number of iterations from which a project is reported as almost
// full. The service keeps [extract.MaxIterations].
const AlmostFull = extract.MaxIterations - 2

// ResourceResult says what happened to one resource.
type ResourceResult struct {
	Name     string
	Host     string
	Err      error           // its projects could not be listed, or its key was refused
	All      bool            // all of its projects are chosen
	Wanted   int             // projects chosen
	Projects []ProjectResult // those compared, and those that only the warehouse has
	Stats    extract.Stats
	Started  time.Time
	Finished time.Time

	missing []missing // chosen, and neither listed nor in the warehouse
	empty   error     // why there was no project to look at; nil if there was one
}

// Nightly exports every completed iteration that the warehouse does not have as the
// service does, oldest first. The warehouse is the only record of earlier runs. A
// failed iteration or resource does not stop the others. There is one result per
// resource, in order, with the errors; Nightly itself returns only ctx's error.
func Nightly(ctx context.Context, resources []Resource, o NightlyOptions) ([]ResourceResult, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) Progress { return silent{} }
	}
	results := make([]ResourceResult, len(resources))
	var group errgroup.Group
	for i, r := range resources {
		n := nightly{Resource: r, NightlyOptions: o, out: &results[i]}
		n.Log = o.Log.With("resource", r.Name)
		group.Go(func() error { n.run(ctx); return nil })
	}
	err := group.Wait()
	for i, r := range resources {
		for _, m := range results[i].missing {
			if r.Choice.Shared && otherHas(resources, results, i, m) {
				continue
			}
			p := ProjectResult{ID: m.id, Name: m.name, Err: m.failure(r.Name)}
			o.Log.Error("the project failed", append([]any{"resource", r.Name, "error", p.Err}, p.attrs()...)...)
			results[i].Projects = append(results[i].Projects, p)
		}
	}
	for i := range results {
		n := &results[i]
		if n.empty != nil && o.Strict && (!resources[i].Choice.Shared || !otherLooked(resources, results, i)) {
			n.Err = n.empty
			o.Log.Error("the resource failed", "resource", n.Name, "error", n.Err)
		}
	}
	return results, errors.Join(err, ctx.Err())
}

// otherLooked reports whether another resource that shares the choice had a project to look
// at, may have one because it failed, or comes first and so reports that none has.
func otherLooked(resources []Resource, results []ResourceResult, at int) bool {
	for i := range results {
		if i != at && resources[i].Choice.Shared && (i < at || results[i].Err != nil || results[i].empty == nil) {
			return true
		}
	}
	return false
}

// otherHas reports whether another resource that shares the choice has the project,
// may have it because it failed, or comes first and so reports it as missing.
func otherHas(resources []Resource, results []ResourceResult, at int, m missing) bool {
	for i := range results {
		shares := i != at && resources[i].Choice.Shared && resources[i].Choice.asksFor(m)
		if shares && (i < at || results[i].Err != nil || !slices.ContainsFunc(results[i].missing, m.same)) {
			return true
		}
	}
	return false
}

// nightly is the run of one resource.
type nightly struct {
	Resource
	NightlyOptions
	out *ResourceResult

	told      causes          // in the log
	ambiguous []ProjectResult // chosen by a name that several have

	more bool // there are other projects
	last bool // nobody waits any more: it is the turn of what was set aside
}

func (n *nightly) run(ctx context.Context) {
	*n.out = ResourceResult{Name: n.Name, Err: n.Err, All: n.Choice.all(), Started: time.Now().UTC()}
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

func (n *nightly) projects(ctx context.Context) error {
	listed, err := n.list(ctx)
	if err != nil {
		return err
	}
	if err := n.findNamed(ctx, listed); err != nil {
		return err
	}
	chosen, unlisted := n.Choice.choose(listed)
	n.out.Wanted = len(chosen)
	for _, pattern := range n.Choice.idle(listed) {
		n.Log.Warn("a pattern of --include matches no project", "pattern", pattern)
	}
	n.out.Projects = make([]ProjectResult, 0, len(chosen)+1)
	var later []func() error
	for i, c := range chosen {
		n.out.Projects = append(n.out.Projects, ProjectResult{ID: c.ID, Name: c.Name})
		p := &n.out.Projects[i]
		n.more = i < len(chosen)-1
		again, err := n.visit(ctx, p, n.project)
		if err != nil {
			return err
		}
		if again != nil {
			later = append(later, func() error {
				_, err := n.visit(ctx, p, again)
				return err
			})
		}
	}
	n.more, n.last = false, true
	for _, visit := range later {
		if err := visit(); err != nil {
			return err
		}
	}
	if n.Choice.all() {
		if unlisted, err = n.vanished(ctx, listed); err != nil {
			return err
		}
	}
	for _, id := range unlisted {
		p, err := n.archived(ctx, id)
		switch {
		case err != nil:
			return err
		case len(p.Iterations) > 0:
			n.out.Projects = append(n.out.Projects, p)
		case !n.Choice.all():
			n.out.missing = append(n.out.missing, missing{id: id})
		}
	}
	n.out.Projects = append(n.out.Projects, n.ambiguous...)
	if len(chosen)+len(unlisted)+len(n.out.missing)+len(n.ambiguous) == 0 {
		n.out.empty = n.Choice.emptyError(n.Name, listed)
	}
	return nil
}

func (n *nightly) list(ctx context.Context) (_ []extract.Project, err error) {
	ctx, end := telemetry.Span(ctx, "list", tracing.Attribute{Key: "resource", Value: n.Name})
	defer func() { end(err) }()
	return n.Client.Projects(ctx)
}

// refused returns the first error that says that the key was refused.
func (p *ProjectResult) refused() error {
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

// project compares the service with the warehouse, and exports what differs.
func (n *nightly) project(ctx context.Context, p *ProjectResult) (again, error) {
	listed, committed, err := n.compare(n.waiting(ctx, n.more), p.ID)
	if n.isAside(err, n.more) && ctx.Err() == nil {
		n.Log.Warn("the project is set aside: it is tried again after the others", "project", p.ID, "cause", err)
		return n.project, err
	}
	if err != nil {
		return nil, err
	}
	byID, lacking := map[schema.ID]load.Committed{}, map[schema.ID]*load.Export{}
	for _, h := range committed {
		byID[h.Iteration] = h
	}
	slices.SortStableFunc(listed, func(a, b extract.Iteration) int { return timeOf(a.Created).Compare(timeOf(b.Created)) })
	for _, it := range listed {
		h, found := byID[it.ID]
		result := IterationResult{ID: it.ID, Name: it.Name, Status: it.Status, Outcome: n.due(it, h, found)}
		if h.Unread != nil && (result.Outcome == NotTried || result.Outcome == Due) {
			result.Outcome, result.Err = Failed, h.Unread
			n.Log.Error("the iteration failed", "project", p.ID, "iteration", it.ID, "error", n.told.tell(it.ID, h.Unread))
		}
		p.Iterations = append(p.Iterations, result)
		if found && h.Export != nil && h.Export.FiguresMissing != "" {
			lacking[it.ID] = h.Export
		}
		delete(byID, it.ID)
	}
	for _, h := range committed {
		_, deleted := byID[h.Iteration]
		if deleted && h.Unread != nil {
			n.Log.Warn("an iteration that the service no longer has cannot be read in the warehouse; run cvexport verify", "project", p.ID, "iteration", h.Iteration, "error", h.Unread)
		}
		if deleted && h.Export != nil {
			p.Iterations = append(p.Iterations, IterationResult{ID: h.Iteration, Name: deref(h.Export.IterationName), Status: h.Export.Status, Outcome: Archived})
		}
	}
	p.Listed = len(listed)
	if p.Listed > 0 {
		p.Oldest = &p.Iterations[0]
	}
	left := n.export(ctx, p, lacking)
	if p.Listed >= AlmostFull {
		n.Log.Warn("the project is almost full: someone is about to delete its oldest iteration", "project", p.ID,
			"iterations", p.Listed, "of", extract.MaxIterations, "iteration", p.Oldest.ID, "outcome", p.Oldest.Outcome)
	}
	return left, nil
}

// compare reads a project's iterations from the service and the warehouse.
func (n *nightly) compare(ctx context.Context, project schema.ID) (listed []extract.Iteration, committed []load.Committed, err error) {
	ctx, end := telemetry.Span(ctx, "compare", tracing.Attribute{Key: "project", Value: project.String()})
	defer func() { end(err) }()
	if listed, err = n.Client.Iterations(ctx, project); err != nil {
		return nil, nil, err
	}
	committed, err = load.ReadProject(ctx, n.Store, schema.Evaluation, project)
	return listed, committed, err
}

// due decides what to do with one iteration of the service; NotTried means to export it.
func (n *nightly) due(it extract.Iteration, h load.Committed, found bool) Outcome {
	switch {
	case it.Status != extract.Completed:
		return NotCompleted
	case found && current(it, h):
		return Present
	case !n.Shard.Has(it.ID):
		return OtherShard
	case n.DryRun:
		return Due
	}
	return NotTried
}

// current reports whether the warehouse has the iteration as the service does.
func current(it extract.Iteration, h load.Committed) bool {
	e := h.Export
	return h.Whole && e.SchemaVersion >= schema.Sufficient && len(e.TagFilter) == 0 &&
		e.TrainedAt.Equal(timeOf(it.TrainedAt)) && e.LastModified.Equal(timeOf(it.LastModified))
}

// vanished returns the projects that only the warehouse has.
func (n *nightly) vanished(ctx context.Context, listed []extract.Project) ([]schema.ID, error) {
	projects, err := load.CommittedProjects(ctx, n.Store, schema.Evaluation)
	return slices.DeleteFunc(projects, func(id schema.ID) bool {
		return slices.ContainsFunc(listed, func(p extract.Project) bool { return p.ID == id })
	}), err
}

// archived returns what the warehouse has of a project of this resource.
func (n *nightly) archived(ctx context.Context, id schema.ID) (ProjectResult, error) {
	p := ProjectResult{ID: id}
	committed, err := load.ReadProject(ctx, n.Store, schema.Evaluation, id)
	for _, h := range committed {
		if h.Export != nil && h.Export.EndpointHost == n.Client.Host() { // others belong to other resources
			p.Name = deref(h.Export.ProjectName)
			p.Iterations = append(p.Iterations, IterationResult{ID: h.Iteration, Name: deref(h.Export.IterationName), Status: h.Export.Status, Outcome: Archived})
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

package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// FindProject returns the id of the service's project that a text means, as [names.Find]
// says. An id needs no request, and may be of no project.
func FindProject(ctx context.Context, client *extract.Client, text string) (schema.ID, error) {
	if id, err := schema.ParseID(text); err == nil {
		return id, nil
	}
	listed, err := client.Projects(ctx)
	if err != nil {
		return schema.ID{}, err
	}
	item, err := names.Find(names.Project, projectItems(listed), text)
	if err != nil {
		return schema.ID{}, fmt.Errorf("%s: %w", client.Host(), err)
	}
	return item.ID, nil
}

// findIteration lists the iterations of a project, and returns the one that a text means,
// which is no id. By latest, trained says when an iteration was trained, and whether it
// counts.
func findIteration(ctx context.Context, client *extract.Client, project schema.ID, text string, trained func(extract.Iteration) (time.Time, bool)) (extract.Iteration, error) {
	listed, err := client.Iterations(ctx, project)
	if err != nil {
		return extract.Iteration{}, err
	}
	var items []names.Item
	pending := 0
	for _, it := range listed {
		at, counts := trained(it)
		if !counts {
			pending++
		}
		items = append(items, names.Item{ID: it.ID, Name: it.Name, PublishName: deref(it.PublishName), Trained: at, Pending: !counts})
	}
	if text == Latest && pending == len(items) {
		return extract.Iteration{}, fmt.Errorf("project %s has no completed iteration among its %d: train one first: %w", project, len(listed), ErrRefused)
	}
	item, err := names.Find(names.Iteration, items, text)
	if err != nil {
		return extract.Iteration{}, fmt.Errorf("project %s: %w", project, err)
	}
	return listed[slices.IndexFunc(listed, func(it extract.Iteration) bool { return it.ID == item.ID })], nil
}

// completed says when an iteration was trained, and that it counts if it has results.
func completed(it extract.Iteration) (time.Time, bool) {
	// A time that the service does not give, or that cannot be read, must not hide the latest.
	return timeOf(cmp.Or(it.TrainedAt, it.Created, it.LastModified)), it.Status == extract.Completed
}

// started says when an iteration was made, whatever has become of it.
func started(it extract.Iteration) (time.Time, bool) {
	return timeOf(cmp.Or(it.Created, it.TrainedAt, it.LastModified)), true
}

func projectItems(listed []extract.Project) (items []names.Item) {
	for _, p := range listed {
		items = append(items, names.Item{ID: p.ID, Name: p.Name})
	}
	return items
}

// findNamed adds the ids of the projects that are chosen by name to the choice: those of
// the service or, where the service has none of the name, of what the warehouse has of
// this resource.
func (n *nightly) findNamed(ctx context.Context, listed []extract.Project) error {
	var archived []names.Item
	for _, text := range n.Choice.Names {
		item, err := names.Find(names.Project, projectItems(listed), text)
		if e, none := errors.AsType[*names.Error](err); none && !e.Several {
			if archived == nil {
				var readErr error
				if archived, readErr = archivedProjects(ctx, n.Store, n.Client.Host()); readErr != nil {
					return readErr
				}
			}
			if found, err := names.Find(names.Project, archived, text); err == nil {
				n.Choice.IDs = append(slices.Clip(n.Choice.IDs), found.ID)
				continue
			}
			n.out.missing = append(n.out.missing, missing{name: text, err: err})
			continue
		}
		if err != nil {
			p := ProjectResult{Name: text, Err: fmt.Errorf("resource %s: %w", n.Name, err)}
			n.Log.Error("the project failed", append(p.attrs(), "error", p.Err)...)
			n.ambiguous = append(n.ambiguous, p)
			continue
		}
		if !slices.Contains(n.Choice.IDs, item.ID) {
			n.Choice.IDs = append(slices.Clip(n.Choice.IDs), item.ID)
		}
	}
	return nil
}

// archivedProjects returns the projects of a host that the warehouse has.
func archivedProjects(ctx context.Context, s store.Store, host string) ([]names.Item, error) {
	exports, _, err := load.ReadRecords(ctx, s)
	exports = slices.DeleteFunc(exports, func(e load.Export) bool { return e.EndpointHost != host })
	return append([]names.Item{}, names.Projects(load.Names(exports))...), err
}

// missing is a project that is asked for, by an id or a name, and that a resource does not
// have.
type missing struct {
	id   schema.ID
	name string
	err  error // of a name
}

func (m missing) same(other missing) bool { return m.id == other.id && m.name == other.name }

func (m missing) failure(resource string) error {
	if m.err != nil {
		return fmt.Errorf("resource %s: %w", resource, m.err)
	}
	return fmt.Errorf("neither resource %s nor the warehouse has project %s: check the project's id and the resource's endpoint", resource, m.id)
}

// asksFor reports whether the choice has what is missing elsewhere.
func (c Choice) asksFor(m missing) bool {
	if m.name != "" {
		return slices.Contains(c.Names, m.name)
	}
	return slices.Contains(c.IDs, m.id)
}

// attrs are the project's id and name, for a log line.
func (p *ProjectResult) attrs() (attrs []any) {
	if !p.ID.IsZero() {
		attrs = append(attrs, "project", p.ID)
	}
	if p.Name != "" {
		attrs = append(attrs, "project_name", p.Name)
	}
	return attrs
}

package jobs

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// Listed is a project at the service, beside what the warehouse has of it.
type Listed struct {
	ID         schema.ID         `json:"project_id"`
	Name       string            `json:"project_name"`
	AtService  bool              `json:"at_service"`
	Iterations []ListedIteration `json:"iterations"` // the one trained last first
}

// ListedIteration is an iteration at the service, beside its export.
type ListedIteration struct {
	ID          schema.ID `json:"iteration_id"`
	Name        string    `json:"iteration_name"`
	Status      string    `json:"status"` // the service's; empty if it has deleted the iteration
	PublishName string    `json:"publish_name,omitempty"`
	Trained     time.Time `json:"trained_at,omitzero"`
	Images      *int64    `json:"images"` // in the warehouse; null without an export
	Exported    time.Time `json:"exported_at,omitzero"`
	Kept        Held      `json:"kept"`
}

// Held says what the warehouse has of an iteration.
type Held string

// What it may have.
const (
	HeldWhole    Held = "yes"      // all of it, as the service does, or as it did before it deleted it
	HeldNot      Held = "no"       // nothing, which a night would change
	HeldResults  Held = "-"        // nothing, and there is nothing to keep: it has no results
	HeldOutdated Held = "outdated" // it has changed since at the service
	HeldFiltered Held = "filtered" // only images with some tags
	HeldDamaged  Held = "damaged"  // objects that are missing or not as recorded
	HeldUnread   Held = "unread"   // what cannot be read now
)

// List reads the chosen projects of a resource and what the warehouse has of them, without
// any image. Projects that only the warehouse has follow those of the service.
func List(ctx context.Context, r Resource) ([]Listed, error) {
	if r.Err != nil {
		return nil, r.Err
	}
	var out ResourceResult
	n := nightly{Resource: r, NightlyOptions: NightlyOptions{Log: slog.New(slog.DiscardHandler)}, out: &out}
	listed, err := n.list(ctx)
	if err != nil {
		return nil, err
	}
	if err := n.findNamed(ctx, listed); err != nil {
		return nil, err
	}
	chosen, unlisted := n.Choice.choose(listed)
	if n.Choice.all() {
		if unlisted, err = n.vanished(ctx, listed); err != nil {
			return nil, err
		}
	}
	all := []Listed{}
	for _, p := range chosen {
		iterations, committed, err := n.compare(ctx, p.ID)
		if err != nil {
			return all, err
		}
		all = append(all, Listed{p.ID, p.Name, true, listIterations(iterations, committed)})
	}
	for _, id := range unlisted {
		committed, err := load.ReadProject(ctx, n.Store, schema.Evaluation, id)
		if err != nil {
			return all, err
		}
		committed = slices.DeleteFunc(committed, func(c load.Committed) bool { // others belong to other resources
			return c.Export == nil || c.Export.EndpointHost != n.Client.Host()
		})
		if len(committed) > 0 {
			all = append(all, Listed{id, deref(committed[len(committed)-1].Export.ProjectName), false, listIterations(nil, committed)})
		} else if !n.Choice.all() {
			out.missing = append(out.missing, missing{id: id})
		}
	}
	var errs []error
	for _, m := range out.missing {
		if !n.Choice.Shared {
			errs = append(errs, m.failure(n.Name))
		}
	}
	for _, p := range n.ambiguous {
		errs = append(errs, p.Err)
	}
	return all, errors.Join(errs...)
}

// listIterations puts iterations of a project beside their exports.
func listIterations(listed []extract.Iteration, committed []load.Committed) []ListedIteration {
	all := []ListedIteration{}
	byID := map[schema.ID]load.Committed{}
	for _, c := range committed {
		byID[c.Iteration] = c
	}
	for _, it := range listed {
		trained, _ := completed(it)
		row := ListedIteration{ID: it.ID, Name: it.Name, Status: it.Status, PublishName: deref(it.PublishName), Kept: HeldNot}
		if it.Status == extract.Completed {
			row.Trained = trained
		} else {
			row.Kept = HeldResults
		}
		if c, found := byID[it.ID]; found {
			row.keep(c)
			if row.Kept == HeldWhole && !current(it, c) {
				row.Kept = HeldOutdated
			}
		}
		delete(byID, it.ID)
		all = append(all, row)
	}
	for _, c := range committed {
		if _, deleted := byID[c.Iteration]; !deleted {
			continue
		}
		row := ListedIteration{ID: c.Iteration}
		if e := c.Export; e != nil {
			row.Name, row.PublishName, row.Trained = deref(e.IterationName), deref(e.PublishName), e.TrainedAt
		}
		row.keep(c)
		all = append(all, row)
	}
	slices.SortStableFunc(all, func(a, b ListedIteration) int {
		return cmp.Or(b.Trained.Compare(a.Trained), slices.Compare(a.ID[:], b.ID[:]))
	})
	return all
}

// keep notes what the warehouse has.
func (row *ListedIteration) keep(c load.Committed) {
	if e := c.Export; e != nil {
		row.Images, row.Exported = new(e.Images()), e.FinishedAt
	}
	switch {
	case c.Unread != nil:
		row.Kept = HeldUnread
	case !c.Whole:
		row.Kept = HeldDamaged
	case len(c.Export.TagFilter) > 0:
		row.Kept = HeldFiltered
	default:
		row.Kept = HeldWhole
	}
}

package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// setAside is how long an operation is tried again while others wait for their turn. Then
// what it is for is set aside, and gets the whole patience in the end.
const setAside = time.Minute

// waiting returns the context for what others may have to wait for.
func (n *nightly) waiting(ctx context.Context, others bool) context.Context {
	if n.last || !others {
		return ctx
	}
	return patience.AtMost(ctx, setAside)
}

// isAside reports whether a failure of this visit is to be tried again in the end.
func (n *nightly) isAside(err error, others bool) bool {
	return !n.last && others && patience.MayPass(err)
}

// visit compares a project, or exports of it what was set aside. It returns what is left to
// do in the end; nil for nothing. The error ends the run of the resource.
func (n *nightly) visit(ctx context.Context, p *ProjectResult, do func(context.Context, *ProjectResult) (again, error)) (again, error) {
	before := n.Client.Stats()
	var left again
	left, p.Err = do(ctx, p)
	p.Stats = p.Stats.Add(n.Client.Stats().Sub(before))
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p.Err != nil && left == nil {
		n.Log.Error("the project failed", "project", p.ID, "error", p.Err)
	}
	return left, p.refused() // it would be for all others too
}

// again does what was set aside.
type again func(context.Context, *ProjectResult) (again, error)

// export exports the iterations that are due, and returns what was set aside. lacking has
// the exports without some of the service's figures.
func (n *nightly) export(ctx context.Context, p *ProjectResult, lacking map[schema.ID]*load.Export) again {
	var aside []*IterationResult
	for i := range p.Iterations {
		others := n.more || slices.ContainsFunc(p.Iterations[i+1:], func(it IterationResult) bool { return it.Outcome == NotTried })
		it := &p.Iterations[i]
		if ctx.Err() != nil {
			continue
		}
		present := current
		if e := lacking[it.ID]; e != nil && it.Outcome == Present && n.Shard.Has(it.ID) && !n.DryRun {
			again, err := n.figuresNow(n.waiting(ctx, others), p.ID, e)
			if extract.AuthRefused(err) {
				it.Outcome, it.Err = Failed, err
				return nil
			}
			if !again {
				continue
			}
			present = func(it extract.Iteration, h load.Committed) bool {
				return current(it, h) && h.Export.ExportID != e.ExportID
			}
		} else if it.Outcome != NotTried {
			continue
		}
		r := n.Request
		r.Project, r.Iteration = p.ID, it.ID.String()
		r.Log, r.Progress = n.Log, n.Progress(n.Name)
		out := exportUnless(n.waiting(ctx, others), n.Client, n.Store, r, present)
		if out.Outcome == Failed && ctx.Err() != nil {
			continue // interrupted: not tried
		}
		it.Outcome, it.Result, it.Err = out.Outcome, out.Result, out.Err
		switch it.Outcome {
		case Present: // but not when the project was compared, which may be hours ago
			it.Outcome = Elsewhere
		case Kept:
			n.Log.Warn("the larger export stays", "project", p.ID, "iteration", it.ID, "cause", it.Err)
		case Failed:
			if n.isAside(it.Err, others) {
				n.Log.Warn("the iteration is set aside: it is tried again after the others", "project", p.ID, "iteration", it.ID, "cause", n.told.tell(it.ID, it.Err))
				aside = append(aside, it)
				continue
			}
			n.Log.Error("the iteration failed", "project", p.ID, "iteration", it.ID, "error", n.told.tell(it.ID, it.Err))
		}
		if extract.AuthRefused(it.Err) {
			return nil
		}
	}
	if len(aside) == 0 {
		return nil
	}
	return func(ctx context.Context, p *ProjectResult) (again, error) {
		for _, it := range aside {
			if it.Outcome, it.Err = NotTried, nil; lacking[it.ID] != nil {
				it.Outcome = Present
			}
		}
		return n.export(ctx, p, lacking), nil
	}
}

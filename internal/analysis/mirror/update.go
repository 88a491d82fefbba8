package mirror

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Progress is the progress of [Cache.Update].
type Progress struct {
	Objects, AllObjects int
	Bytes, AllBytes     int64
}

// Updated is the result of [Cache.Update].
type Updated struct {
	Iterations int // committed exports

	// Warning is why the next update takes longer than it could; nil if it does not.
	Warning error

	// Findings are objects that differ from their exports records. The cache has them
	// as they are. It leaves out an iteration whose record is damaged.
	Findings []load.Finding
}

// Update brings the cache up to date with what the warehouse from has committed, for the
// data tables that are wanted: it lists the exports records, reads those that have
// changed, and fetches the objects that the cache lacks. What is fetched is compared
// with the record before it becomes visible. Iterations that the warehouse no longer
// has are removed.
//
// Several processes may do so at once. A failure or a cancelled ctx leaves each object
// whole, and the next Update continues from there. report, if it is not nil, is called
// as bytes arrive, by one goroutine at a time, and not at all if there is nothing to
// fetch.
func (c *Cache) Update(ctx context.Context, from store.Store, want func(table string) bool, report func(Progress)) (Updated, error) {
	u := update{Cache: c, from: from, want: want, report: report}
	if err := u.run(ctx); err != nil {
		return Updated{}, fmt.Errorf("fetch %s: %w", from.URL(""), err)
	}
	if c.Holds == nil {
		if err := c.compared(); err != nil {
			return Updated{}, err
		}
	}
	return u.updated, nil
}

type update struct {
	*Cache
	from   store.Store
	want   func(table string) bool
	report func(Progress)

	updated Updated

	mu       sync.Mutex
	progress Progress
}

func (u *update) run(ctx context.Context) error {
	// What another process puts into the cache from here on may be newer than the list
	// of the warehouse, and stays.
	before, err := u.objects(ctx)
	if err != nil {
		return err
	}
	known := u.readKnown()
	var all []*iteration
	for obj, err := range u.from.List(ctx, schema.Exports.Name+"/") {
		if err != nil {
			return fmt.Errorf("list table %s: %w", schema.Exports.Name, err)
		}
		if project, id, ok := schema.Exports.ParsePath(obj.Key); ok {
			files := before[obj.Key]
			delete(before, obj.Key)
			if !u.Cache.holds(project, id) {
				continue
			}
			if k := known[obj.Key]; k.Listed == obj.Version && k.has(obj.Key, files, u.want) {
				u.updated.Iterations++
				continue
			}
			all = append(all, &iteration{update: u, project: project, id: id, listed: obj})
		}
	}
	maps.DeleteFunc(before, func(record string, _ []store.Object) bool {
		project, id, ok := schema.Exports.ParsePath(record)
		return !ok || !u.Cache.holds(project, id)
	})
	for record, gone := range before {
		delete(known, record)
		for _, obj := range gone {
			if err := u.store.Remove(ctx, obj.Key, obj.Version); err != nil {
				return err
			}
		}
	}
	// Everything is planned before anything is fetched, so that the totals are known.
	const (
		reads   = 16 // small, each a round trip or two
		fetches = 4  // iterations
	)
	if err := each(ctx, all, reads, (*iteration).plan); err != nil {
		return err
	}
	if err := each(ctx, all, fetches, (*iteration).fetch); err != nil {
		return err
	}
	for _, m := range all { // ordered by key
		known.note(m)
		if !m.skipped {
			u.updated.Iterations++
		}
		u.updated.Findings = append(u.updated.Findings, m.findings...)
	}
	if len(all) == 0 && len(before) == 0 {
		return nil
	}
	u.updated.Warning = u.writeKnown(known)
	return nil
}

// each calls do for all, at most limit at a time.
func each(ctx context.Context, all []*iteration, limit int, do func(*iteration, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, m := range all {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(m, ctx)
		})
	}
	return group.Wait()
}

func (u *update) add(p Progress) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.progress = u.progress.plus(p)
	if u.report != nil && u.progress.AllObjects > 0 {
		u.report(u.progress)
	}
}

func (p Progress) plus(q Progress) Progress {
	return Progress{p.Objects + q.Objects, p.AllObjects + q.AllObjects, p.Bytes + q.Bytes, p.AllBytes + q.AllBytes}
}

package load

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// Fetching is how far [Cache.Update] is.
type Fetching struct {
	Objects, AllObjects int
	Bytes, AllBytes     int64
}

// Updated is what [Cache.Update] saw of the warehouse.
type Updated struct {
	Iterations int // committed exports

	// Findings are objects that are not what their exports records say. The
	// cache holds them as they are, and an iteration whose record is damaged not
	// at all.
	Findings []Finding
}

// Update makes the cache hold what the warehouse from has committed, of the data
// tables that are wanted: it lists the exports records, reads those that have
// changed, and fetches the objects that the cache does not hold as they say.
// What is fetched is compared with the record before it is seen. Iterations that
// the warehouse does not have any more are removed.
//
// Several processes may do so at once. A failure or a cancelled ctx leaves each
// object whole, and the next Update goes on from there. fetching, if it is not
// nil, is called as bytes arrive, by one goroutine at a time, and not at all if
// there is nothing to fetch.
func (c *Cache) Update(ctx context.Context, from store.Store, want func(table string) bool, fetching func(Fetching)) (Updated, error) {
	u := update{Cache: c, from: from, want: want, fetching: fetching}
	if err := u.run(ctx); err != nil {
		return Updated{}, fmt.Errorf("fetch %s: %w", from.URL(""), err)
	}
	return u.updated, nil
}

type update struct {
	*Cache
	from     store.Store
	want     func(table string) bool
	fetching func(Fetching)

	updated Updated

	mu  sync.Mutex
	far Fetching
}

func (u *update) run(ctx context.Context) error {
	// What another process puts there from here on may be newer than the list of
	// the warehouse, and is left alone.
	before, err := u.objects(ctx)
	if err != nil {
		return err
	}
	var all []*mirrored
	listed := map[string]bool{}
	for obj, err := range u.from.List(ctx, schema.Exports.Name+"/") {
		if err != nil {
			return fmt.Errorf("list table %s: %w", schema.Exports.Name, err)
		}
		if project, iteration, ok := parseKey(schema.Exports, obj.Key); ok {
			listed[obj.Key] = true
			all = append(all, &mirrored{update: u, project: project, iteration: iteration, listed: obj})
		}
	}
	for _, obj := range before {
		if !listed[schema.Exports.Path(obj.project, obj.iteration)] {
			if err := u.remove(ctx, obj.Key, obj.Version); err != nil {
				return err
			}
		}
	}
	// All is planned before anything is fetched, so that the progress knows its end.
	const (
		reads   = 16 // small, each a round trip or two
		fetches = 4  // iterations
	)
	if err := each(ctx, all, reads, (*mirrored).plan); err != nil {
		return err
	}
	if err := each(ctx, all, fetches, (*mirrored).fetch); err != nil {
		return err
	}
	for _, m := range all { // in the order of their keys
		if !m.gone {
			u.updated.Iterations++
		}
		u.updated.Findings = append(u.updated.Findings, m.findings...)
	}
	return nil
}

// each does something to all, so many at a time.
func each(ctx context.Context, all []*mirrored, most int, do func(*mirrored, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(most)
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

// add notes progress.
func (u *update) add(far Fetching) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.far = u.far.plus(far)
	if u.fetching != nil && u.far.AllObjects > 0 {
		u.fetching(u.far)
	}
}

func (f Fetching) plus(g Fetching) Fetching {
	return Fetching{f.Objects + g.Objects, f.AllObjects + g.AllObjects, f.Bytes + g.Bytes, f.AllBytes + g.AllBytes}
}

package extract

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/schema"
)

// PageSize is the number of images requested at once, the service's maximum.
const PageSize = 256

// stride is the distance between two pages: each begins with the last image of the
// one before. The service has no snapshots. If an image is removed and another added
// between two requests, an image is missed though all counts agree; the overlap
// reveals that.
const stride = PageSize - 1

// maxTags is the service's maximum of tag ids per request.
const maxTags = 20

// maxPageTries is how often a page that cannot be decoded is fetched, if that many retries
// are allowed. A body that was cut off by a proxy looks like a success to HTTP.
const maxPageTries = 3

// Listing selects images: all of an iteration, or those that have any of the tags.
type Listing struct {
	Project, Iteration schema.ID
	Tags               []schema.ID // none: every image
	Concurrency        int         // pages fetched at once; default 4

	// Counted, if set, is a recent result of Count, which saves a request. Not for
	// more than 20 tags.
	Counted *int

	// Planned, if set, is called before the first page of each group of tags with the
	// number of images and pages it should have.
	Planned func(images, pages int)

	// After, if set, is called after all pages, at the same time as the final count.
	After func(context.Context) error
}

// Page is one raw page.
type Page struct {
	Number   int    // from 0
	Skip     int    // the index of its first image
	Repeated int    // number of its first images that are the last of the page before
	Body     []byte // valid until it is decoded

	// Known reports whether an earlier group of tags had an image. It is nil for the
	// first group.
	Known func(schema.ID) bool
}

// Decoded is a page as decoded by the caller.
type Decoded interface {
	ImageIDs() []schema.ID // all images of the page, including repeated and known ones
	Release()              // called for pages that are not delivered
}

// Read fetches every page of a listing, at most Concurrency at once, decodes them
// concurrently, and delivers the results in page order, one at a time. At most twice
// Concurrency pages are held, so memory does not grow with the iteration.
//
// It returns the number of distinct images, which equals the number of images listed
// and the service's count before and after. Otherwise the error is an
// [*IncompleteError], and what was delivered must be discarded. Every error names
// project and iteration, and the page if it concerns one.
func Read[D Decoded](ctx context.Context, c *Client, l Listing, decode func(Page) (D, error), deliver func(D) error) (int, error) {
	if l.Concurrency <= 0 {
		l.Concurrency = 4
	}
	known := map[schema.ID]struct{}{}
	groups, after := tagGroups(l.Tags), l.After
	for i, group := range groups {
		if l.After = nil; i == len(groups)-1 {
			l.After = after
		}
		r := reading[D]{client: c, Listing: l, tags: group, decode: decode, deliver: deliver}
		if len(known) > 0 {
			r.known = func(id schema.ID) bool { _, ok := known[id]; return ok }
		}
		if err := r.run(ctx); err != nil {
			return 0, err
		}
		for id := range r.seen { // not earlier: workers read known
			known[id] = struct{}{}
		}
	}
	return len(known), nil
}

// Count returns the number of images of a listing, and of their pages. With more than
// 20 tags, an image may be counted more than once.
func (c *Client) Count(ctx context.Context, project, iteration schema.ID, tags []schema.ID) (images, pages int, err error) {
	for _, group := range tagGroups(tags) {
		n, err := c.count(ctx, project, iteration, group)
		if err != nil {
			return 0, 0, err
		}
		images, pages = images+n, pages+pagesOf(n)
	}
	return images, pages, nil
}

func pagesOf(images int) int {
	if images <= 0 {
		return 0
	}
	return 1 + (max(images-PageSize, 0)+stride-1)/stride
}

// tagGroups splits tags into groups of at most maxTags, independent of their order. No
// tags result in one empty group, for every image.
func tagGroups(tags []schema.ID) [][]schema.ID {
	if len(tags) == 0 {
		return [][]schema.ID{nil}
	}
	sorted := slices.SortedFunc(slices.Values(tags), func(a, b schema.ID) int { return slices.Compare(a[:], b[:]) })
	return slices.Collect(slices.Chunk(slices.Compact(sorted), maxTags))
}

// reading reads the images of one group of tags.
type reading[D Decoded] struct {
	Listing
	client  *Client
	tags    []schema.ID
	known   func(schema.ID) bool
	decode  func(Page) (D, error)
	deliver func(D) error

	before int                    // the service's count before reading
	seen   map[schema.ID]struct{} // images listed so far
	last   schema.ID              // the last image of the page before
	full   bool                   // the page before had PageSize images
}

func (r *reading[D]) run(ctx context.Context) (err error) {
	if r.Counted != nil {
		r.before = *r.Counted
	} else if r.before, err = r.client.count(ctx, r.Project, r.Iteration, r.tags); err != nil {
		return err
	}
	r.seen = make(map[schema.ID]struct{}, min(r.before, 1<<20)) // the count may be wrong
	pages := pagesOf(r.before)
	if r.Planned != nil {
		r.Planned(r.before, pages)
	}
	if err := r.pages(ctx, pages); err != nil {
		return err
	}
	after, err := r.countAgain(ctx)
	if err != nil {
		return err
	}
	if after != r.before || len(r.seen) != r.before {
		return r.incomplete(-1, "%d distinct images were listed, the service counted %d before and %d after", len(r.seen), r.before, after)
	}
	return nil
}

// countAgain counts once more, and calls After.
func (r *reading[D]) countAgain(ctx context.Context) (after int, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		after, err = r.client.count(ctx, r.Project, r.Iteration, r.tags)
		return err
	})
	if r.After != nil {
		group.Go(func() error { return r.After(ctx) })
	}
	return after, group.Wait()
}

// pages reads the planned pages and one more, which must have no new image: else the
// count was too low and images would be missed.
func (r *reading[D]) pages(ctx context.Context, planned int) (err error) {
	window := 2 * r.Concurrency
	slots := make([]chan D, window) // page n arrives in slots[n % window]
	for i := range slots {
		slots[i] = make(chan D, 1)
	}
	ctx, cancel := context.WithCancel(ctx)
	workers, ctx := errgroup.WithContext(ctx)
	workers.SetLimit(r.Concurrency)
	defer func() {
		cancel()
		// A failing worker cancels the others: its error is the cause, not theirs.
		if workErr := workers.Wait(); workErr != nil && (err == nil || isCancel(err)) {
			err = workErr
		}
		for _, slot := range slots {
			select {
			case page := <-slot:
				page.Release()
			default:
			}
		}
	}()
	next := 0
	for n := range planned + 1 {
		for ; next <= planned && next < n+window && ctx.Err() == nil; next++ {
			number, slot := next, slots[next%window]
			workers.Go(func() error {
				page, err := r.fetch(ctx, number)
				if err == nil {
					slot <- page
				}
				return err
			})
		}
		select {
		case page := <-slots[n%window]:
			if err := r.take(page, n, planned); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func isCancel(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// take checks a page's images and delivers it.
func (r *reading[D]) take(page D, number, planned int) error {
	ids, err := r.fresh(page, number)
	if number == planned { // without images, or with an error
		page.Release()
		return err
	}
	for _, id := range ids {
		if _, twice := r.seen[id]; twice && err == nil {
			err = r.incomplete(number, "image %s is listed twice", id)
		}
		r.seen[id] = struct{}{}
	}
	if err == nil && !r.full && number < planned-1 {
		err = r.incomplete(number, "the list ends after %d images, the service counted %d", len(r.seen), r.before)
	}
	if err != nil {
		page.Release()
		return err
	}
	return r.deliver(page)
}

// fresh checks that a page overlaps with the page before, and returns its new images.
func (r *reading[D]) fresh(page D, number int) ([]schema.ID, error) {
	ids := page.ImageIDs()
	if len(ids) > PageSize {
		return nil, r.incomplete(number, "it lists %d images, %d were requested", len(ids), PageSize)
	}
	full := len(ids) == PageSize
	if number > 0 && r.full {
		if len(ids) == 0 || ids[0] != r.last {
			return nil, r.incomplete(number, "it does not begin with image %s, the last of the page before: images were added or removed meanwhile", r.last)
		}
		ids = ids[1:]
	} else if number > 0 && len(ids) > 0 {
		return nil, r.incomplete(number, "it lists %d images behind the last one", len(ids))
	}
	if len(r.seen)+len(ids) > r.before {
		return nil, r.incomplete(number, "the service counted %d images, and lists %d and more", r.before, len(r.seen)+len(ids))
	}
	if r.full = full; len(ids) > 0 {
		r.last = ids[len(ids)-1]
	}
	return ids, nil
}

func (r *reading[D]) fetch(ctx context.Context, number int) (page D, err error) {
	raw := Page{Number: number, Skip: number * stride, Repeated: min(number, 1), Known: r.known}
	for try := 1; ; try++ {
		if raw.Body, err = r.client.page(ctx, r.Project, r.Iteration, r.tags, raw.Skip); err != nil {
			break
		}
		page, err = r.decode(raw)
		r.client.pages.put(raw.Body)
		if err == nil {
			return page, nil
		}
		if try == r.client.pageTries {
			if try > 1 {
				err = fmt.Errorf("%w (fetched %d times)", err, try)
			}
			break
		}
	}
	if isCancel(err) {
		return page, err
	}
	return page, &PageError{Project: r.Project, Iteration: r.Iteration, Page: number, Skip: raw.Skip, Err: err}
}

func (r *reading[D]) incomplete(page int, format string, args ...any) error {
	return &IncompleteError{Project: r.Project, Iteration: r.Iteration, Page: page, What: fmt.Sprintf(format, args...)}
}

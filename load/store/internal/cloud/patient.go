package cloud

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
)

// Tries are the operations of a store in a cloud, each of which tries once. A failure that
// can pass has a [patience.Fault] in it.
type Tries interface {
	Stat(ctx context.Context, key string) (store.Object, error)
	Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error)

	// OpenFrom opens an object at an offset. At one above 0 it must still have the
	// version. The object has its version, and its size or -1, if the offset is 0.
	OpenFrom(ctx context.Context, key string, offset int64, version string) (io.ReadCloser, store.Object, error)

	// Page returns a part of a listing, and where the next part begins: empty for the
	// first part, and after the last.
	Page(ctx context.Context, prefix, from string) (objects []store.Object, next string, err error)

	Service() Service // for the probe
	Close() error
}

// Patient makes a store of operations that it tries again.
func Patient(place Place, tries Tries, p *patience.Patience) store.Store {
	return &patient{place, tries, p}
}

type patient struct {
	Place
	tries    Tries
	patience *patience.Patience
}

// do tries an operation with a result.
func do[T any](ctx context.Context, p *patience.Patience, try func(context.Context) (T, error)) (result T, err error) {
	err = p.Do(ctx, func(ctx context.Context) (err error) {
		result, err = try(ctx)
		return err
	})
	if err != nil {
		var none T
		return none, err
	}
	return result, nil
}

func (s *patient) Stat(ctx context.Context, key string) (store.Object, error) {
	return do(ctx, s.patience, func(ctx context.Context) (store.Object, error) { return s.tries.Stat(ctx, key) })
}

func (s *patient) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	return do(ctx, s.patience, func(ctx context.Context) (store.Object, error) { return s.tries.Put(ctx, key, src, old, others...) })
}

func (s *patient) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	type page struct {
		objects []store.Object
		next    string
	}
	return func(yield func(store.Object, error) bool) {
		empty := 0
		for from, more := "", true; more; more = from != "" {
			part, err := do(ctx, s.patience, func(ctx context.Context) (p page, err error) {
				p.objects, p.next, err = s.tries.Page(ctx, prefix, from)
				return p, err
			})
			if err == nil {
				if err = Empty(&empty, len(part.objects)); err != nil {
					err = s.Failed("listing", prefix, err, "")
				}
			}
			if err != nil {
				yield(store.Object{}, err)
				return
			}
			for _, obj := range part.objects {
				if !yield(obj, nil) {
					return
				}
			}
			from = part.next
		}
	}
}

func (s *patient) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	return do(ctx, s.patience, func(ctx context.Context) (io.ReadCloser, error) {
		body, obj, err := s.tries.OpenFrom(patience.Stream(ctx), key, 0, "")
		if err != nil {
			return nil, err
		}
		return &reader{ctx: ctx, store: s, body: body, Object: obj}, nil
	})
}

func (s *patient) Probe(ctx context.Context) error {
	return s.Place.Probe(ctx, s, s.tries.Service())
}

func (s *patient) Close() error { return s.tries.Close() }

// reader reads an object, and goes on where it was when a connection broke.
type reader struct {
	ctx   context.Context
	store *patient
	body  io.ReadCloser
	store.Object
	offset int64

	failing time.Time // since when it has broken off without getting on; zero if it has not
	from    int64     // where that was
}

func (r *reader) Read(p []byte) (n int, err error) {
	n, err = r.body.Read(p)
	r.offset += int64(n)
	switch {
	case err == nil, err == io.EOF, r.ctx.Err() != nil:
		return n, err
	case !patience.MayPass(err):
		return n, r.store.Failed("reading", r.Key, err, "")
	case n > 0:
		return n, nil // the next call meets the error again
	}
	now := time.Now()
	if spent := now.Sub(r.failing); r.failing.IsZero() || float64(r.offset-r.from) > spent.Seconds()*patience.MinRate {
		r.failing, r.from = now, r.offset
	}
	broke, ended := err, false
	err = r.store.patience.Resume(r.ctx, r.failing, func(ctx context.Context) error {
		if err := broke; err != nil { // the try before
			broke = nil
			return r.store.Failed("reading", r.Key, err, "")
		}
		var err error
		if n, err = r.again(ctx, p); err == io.EOF {
			ended = true
			err = nil
		}
		return err
	})
	r.offset += int64(n)
	if err == nil && ended {
		err = io.EOF
	}
	return n, err
}

// again opens the object where it was, and reads on.
func (r *reader) again(ctx context.Context, p []byte) (int, error) {
	if r.offset == r.Size {
		return 0, io.EOF
	}
	body, _, err := r.store.tries.OpenFrom(patience.Stream(ctx), r.Key, r.offset, r.Version)
	if err != nil {
		return 0, err
	}
	r.body.Close() // broken: how that ends tells nothing
	r.body = body
	n, err := body.Read(p)
	if n > 0 && err != io.EOF {
		err = nil // comes again
	}
	if err != nil && err != io.EOF {
		err = r.store.Failed("reading", r.Key, err, "")
	}
	return n, err
}

func (r *reader) Close() error { return r.body.Close() }

// CheckRange makes sure that a body begins at the offset. A server that does not know
// ranges sends all, of which the beginning is passed over. The body is closed on an error.
func CheckRange(body io.ReadCloser, offset int64, contentRange string) error {
	if contentRange == "" {
		if _, err := io.CopyN(io.Discard, body, offset); err != nil {
			body.Close()
			return err
		}
		return nil
	}
	if !strings.HasPrefix(contentRange, fmt.Sprintf("bytes %d-", offset)) {
		body.Close()
		return fmt.Errorf("the service answered with %.100q, not from byte %d on", contentRange, offset)
	}
	return nil
}

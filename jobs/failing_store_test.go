package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"syscall"

	"github.com/cvexport/cvexport/load/store"
)

// failure is a way in which an operation of a store fails.
type failure string

const (
	withError   failure = "error"                // it is refused
	withTimeout failure = "timeout"              // it is given up after a while
	hanging     failure = "hang until cancelled" // it never answers
	short       failure = "short"                // half of the content, as if it were all
	cutOff      failure = "cut connection"       // half of the content, then a reset
	doneFailed  failure = "done, told as failed" // it is done, and its answer is lost
	goneAfter   failure = "done, then gone"      // it is done, and the store is gone from then on
	gone        failure = "gone"                 // the store is gone from here on
)

var failures = []failure{withError, withTimeout, hanging, short, cutOff, doneFailed, goneAfter, gone}

// failingStore is a store whose n-th operation fails. A Stat, a Put, a listing,
// an Open, the reading of what it opened and the closing of that are an
// operation each.
type failingStore struct {
	store.Store
	at     int // from 1; 0: none
	how    failure
	cancel context.CancelFunc // of the run, once it hangs

	mu   sync.Mutex
	done int // operations so far
}

var _ store.Store = (*failingStore)(nil)

var errFault = errors.New("the store is on fire")

// next counts an operation, and says how it is to fail; empty: not at all.
func (s *failingStore) next() failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done++
	switch {
	case s.done == s.at:
		return s.how
	case s.at > 0 && s.done > s.at && (s.how == gone || s.how == goneAfter):
		return withError
	}
	return ""
}

// before is what fails ahead of the operation.
func (s *failingStore) before(ctx context.Context, how failure) error {
	switch how {
	case withError, gone:
		return errFault
	case withTimeout:
		return fmt.Errorf("%w: %w", errFault, context.DeadlineExceeded)
	case hanging:
		s.cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (s *failingStore) Stat(ctx context.Context, key string) (store.Object, error) {
	how := s.next()
	if err := s.before(ctx, how); err != nil {
		return store.Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	obj, err := s.Store.Stat(ctx, key)
	if err == nil && (how == doneFailed || how == cutOff) {
		return store.Object{}, fmt.Errorf("looking at %s: %w", key, syscall.ECONNRESET)
	}
	return obj, err
}

func (s *failingStore) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	how := s.next()
	if err := s.before(ctx, how); err != nil {
		return store.Object{}, fmt.Errorf("writing %s: %w", key, err)
	}
	switch how {
	case short:
		src = halfSource{src, io.EOF}
	case cutOff:
		src = halfSource{src, syscall.ECONNRESET}
	}
	obj, err := s.Store.Put(ctx, key, src, old, others...)
	if err == nil && how == doneFailed {
		return store.Object{}, fmt.Errorf("writing %s: %w", key, syscall.ECONNRESET)
	}
	return obj, err
}

// halfSource can be read up to its middle.
type halfSource struct {
	store.Source
	end error
}

func (s halfSource) ReadAt(p []byte, off int64) (int, error) {
	left := s.Size()/2 - off
	if left <= 0 {
		return 0, s.end
	}
	if int64(len(p)) <= left {
		return s.Source.ReadAt(p, off)
	}
	n, err := s.Source.ReadAt(p[:left], off)
	if err == nil {
		err = s.end
	}
	return n, err
}

func (s *failingStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	how := s.next()
	if err := s.before(ctx, how); err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	r, err := s.Store.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	if how == doneFailed || how == cutOff {
		return nil, errors.Join(fmt.Errorf("reading %s: %w", key, syscall.ECONNRESET), r.Close())
	}
	obj, err := s.Store.Stat(ctx, key)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	body := &failingBody{ReadCloser: r, ctx: ctx, store: s, size: obj.Size}
	if at, ok := r.(io.ReaderAt); ok {
		return &failingFile{body, at}, nil
	}
	return body, nil
}

// failingBody is what a failingStore opened.
type failingBody struct {
	io.ReadCloser
	ctx   context.Context
	store *failingStore
	size  int64

	begun bool
	how   failure
	read  int64
}

func (b *failingBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun, b.how = true, b.store.next()
	}
	if err := b.store.before(b.ctx, b.how); err != nil {
		return 0, err
	}
	if left := b.size/2 - b.read; b.how == short || b.how == cutOff {
		if left <= 0 && b.how == short {
			return 0, io.EOF
		} else if left <= 0 {
			return 0, syscall.ECONNRESET
		}
		p = p[:min(int64(len(p)), left)]
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if err == io.EOF && b.how == doneFailed {
		err = syscall.ECONNRESET
	}
	return n, err
}

func (b *failingBody) Close() error {
	how := b.store.next()
	err := b.ReadCloser.Close()
	if how != "" && how != goneAfter && how != hanging { // a close does not wait
		err = errors.Join(err, errFault)
	}
	if how == hanging {
		b.store.cancel()
	}
	return err
}

// failingFile can also be read at any place, where the store's own can.
type failingFile struct {
	*failingBody
	at io.ReaderAt
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if !f.begun {
		f.begun, f.how = true, f.store.next()
	}
	if err := f.store.before(f.ctx, f.how); err != nil {
		return 0, err
	}
	if f.how == short || f.how == cutOff {
		return 0, io.ErrUnexpectedEOF
	}
	return f.at.ReadAt(p, off)
}

func (s *failingStore) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	how := s.next()
	return func(yield func(store.Object, error) bool) {
		if err := s.before(ctx, how); err != nil {
			yield(store.Object{}, fmt.Errorf("listing %s: %w", prefix, err))
			return
		}
		n := 0
		for obj, err := range s.Store.List(ctx, prefix) {
			if n++; how == cutOff && n == 2 {
				yield(store.Object{}, fmt.Errorf("listing %s: %w", prefix, syscall.ECONNRESET))
				return
			}
			if !yield(obj, err) {
				return
			}
		}
		if how == doneFailed {
			yield(store.Object{}, fmt.Errorf("listing %s: %w", prefix, syscall.ECONNRESET))
		}
	}
}

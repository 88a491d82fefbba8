// Package patience decides how long the program waits for a server: the service, a store,
// a queue, or where it logs in. It is the one place that bounds a wait and that tries again.
//
// [Patience.Transport] watches each request: a try ends when no byte has moved either way
// for [Bounds.Stall]. It marks what can pass as a [Fault]. [Patience.Do] tries an operation
// that ended with a Fault again, for [Bounds.GiveUp] since its first failure.
package patience

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Bounds are how long to wait. The zero value of a field means its default.
type Bounds struct {
	Stall   time.Duration // without a byte either way; default 1 minute
	GiveUp  time.Duration // trying again, from the first failure; default 15 minutes
	Retries int           // of one operation, at most; 0: as many as GiveUp allows; negative: none
	Delay   time.Duration // before the second try, growing from there; default 800ms
	Log     *slog.Logger  // of each failure that is tried again; may be nil
}

// The defaults, and the longest pause between two tries that no server asked for.
const (
	DefaultStall  = time.Minute
	DefaultGiveUp = 15 * time.Minute

	defaultDelay = 800 * time.Millisecond
	maxDelay     = 30 * time.Second
)

type boundsKey struct{}

// With returns a context for opening stores and queues that have these bounds.
func With(ctx context.Context, b Bounds) context.Context {
	return context.WithValue(ctx, boundsKey{}, b)
}

// From returns the bounds that [With] put into the context, or else the default.
func From(ctx context.Context) Bounds {
	b, _ := ctx.Value(boundsKey{}).(Bounds)
	return b
}

type atMostKey struct{}

// AtMost returns a context under which operations are tried again for no longer than d.
// It is for those that can be set aside while others go on.
func AtMost(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, atMostKey{}, d)
}

// Patience is what one server gets. It is safe for concurrent use.
type Patience struct {
	bounds Bounds
	met    sync.Map // hosts that have answered

	mu      sync.Mutex
	failing time.Time // since when every try has failed; zero if the last has not
	last    time.Time // when one failed
}

// New returns the patience with one server.
func New(b Bounds) *Patience {
	b.Stall = cmp.Or(b.Stall, DefaultStall)
	b.GiveUp = cmp.Or(b.GiveUp, DefaultGiveUp)
	b.Delay = cmp.Or(b.Delay, defaultDelay)
	b.Log = cmp.Or(b.Log, slog.New(slog.DiscardHandler))
	return &Patience{bounds: b}
}

// Fault is a failure that can pass: the server was not reached, fell silent, broke off, or
// said that it is in trouble. Any other failure stays one, however often it is tried.
type Fault struct {
	Err   error
	After time.Duration // how long the server asked to wait; 0 if it did not
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// MayPass reports whether err has a [Fault] in it.
func MayPass(err error) bool {
	_, ok := errors.AsType[*Fault](err)
	return ok
}

// Do calls try until it succeeds, fails with what cannot pass, or the bounds are reached.
// The error of the last try comes back with how often and how long it was tried. Between
// two tries Do waits as long as the server asked, or else a random time that grows. A
// server that asks for more than is left is not waited for: the error says when to come
// back. Once operations have failed for all of Bounds.GiveUp with no success in between,
// each further one is tried once, until one succeeds.
func (p *Patience) Do(ctx context.Context, try func(context.Context) error) error {
	return p.Resume(ctx, time.Time{}, try)
}

// MinRate is how many bytes have to move in a second, on average, once a try, or the tries
// of one object, have lasted for Bounds.GiveUp: a byte now and then is no stall, but would
// take for ever.
const MinRate = 1 << 10

// Resume is Do for an operation that began to fail at a time, if that is not zero.
func (p *Patience) Resume(ctx context.Context, began time.Time, try func(context.Context) error) error {
	bound := p.bounds.GiveUp
	if limit, ok := ctx.Value(atMostKey{}).(time.Duration); ok {
		bound = min(bound, limit)
	}
	delay := p.bounds.Delay
	for tries := 1; ; tries++ {
		err := try(ctx)
		if ctx.Err() != nil {
			return err
		}
		fault, passes := errors.AsType[*Fault](err)
		now := time.Now()
		failing := p.note(passes, now)
		if !passes {
			return err
		}
		if began.IsZero() {
			began = now
		}
		left := min(bound-now.Sub(began), p.bounds.GiveUp-now.Sub(failing))
		wait := cmp.Or(fault.After, min(delay/2+rand.N(delay), left))
		switch {
		case fault.After > 0 && fault.After > left:
			return fmt.Errorf("%w; it asks to wait %s%s: come back at %s", err, fault.After.Round(time.Second), p.over(tries, now.Sub(began), bound), now.Add(fault.After).UTC().Format(time.RFC3339))
		case left <= 0, p.bounds.Retries < 0, p.bounds.Retries > 0 && tries > p.bounds.Retries:
			return fmt.Errorf("%w%s", err, p.over(tries, now.Sub(began), bound))
		}
		p.bounds.Log.Info("trying again", "after", wait.Round(time.Millisecond), "attempt", tries, "error", err)
		if err := Sleep(ctx, wait); err != nil {
			return err
		}
		delay = min(2*delay, maxDelay)
	}
}

// over says what was done before giving up.
func (p *Patience) over(tries int, spent, bound time.Duration) string {
	switch {
	case tries > 1:
		return fmt.Sprintf(" (tried %d times in %s; --give-up-after is %s)", tries, spent.Round(time.Second), bound)
	case p.bounds.Retries < 0:
		return ""
	}
	return fmt.Sprintf(" (tried once; --give-up-after is %s)", bound)
}

// note records how an operation went, and returns since when none has succeeded.
func (p *Patience) note(failed bool, now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !failed {
		p.failing = time.Time{}
		return p.failing
	}
	// After a time without any try, nobody knows.
	if apart := 2 * (p.bounds.Stall + maxDelay); p.failing.IsZero() || now.Sub(p.last) > apart {
		p.failing = now
	}
	p.last = now
	return p.failing
}

// Sleep waits. It returns the context's error if that ends before.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Passing reports whether an answer of this status may be another one soon. 501 and 505
// say what the server does not know, for good.
func Passing(status int) bool {
	switch status {
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

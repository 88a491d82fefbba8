// Package ping tells a monitor that a run begins and how it ended, so that the monitor can
// raise an alarm when it hears nothing. It speaks the protocol of healthchecks.io
// (https://healthchecks.io/docs/http_api/).
package ping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/secret"
)

// How long a monitor may take. A run ends that much later, at most, and never otherwise than
// it would without a monitor.
const (
	total       = 10 * time.Second       // for all that is sent after the run, what is left of the first message too
	startLeft   = 3 * time.Second        // of that, for the first message
	stall       = 4 * time.Second        // without a byte
	unwinding   = 500 * time.Millisecond // that an interrupted run has to say itself how it ended
	interrupted = 700 * time.Millisecond // for what is sent after an interrupt
	retries     = 2
	firstDelay  = 400 * time.Millisecond
)

const (
	maxHeader = 64 << 10 // bytes of an answer's
	maxAnswer = 1 << 10  // bytes that are looked at; healthchecks.io says OK
)

// ErrURL says what a monitor's address has to be. It repeats nothing of the wrong one, which
// is a secret.
var ErrURL = errors.New("it is no address such as https://hc-ping.com/UUID, of a monitor that speaks healthchecks.io's protocol")

// Parse checks the address of a monitor and makes it known to package secret: who has it can
// say that all is well. The error is [ErrURL].
func Parse(text string) (*url.URL, error) {
	secret.AddURL(text)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Fragment != "" || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' }) {
		return nil, ErrURL
	}
	return u, nil
}

// Run is one run that a monitor is told of. What is written to it is the summary. Until
// [Run.Begin] is called, it only collects that.
type Run struct {
	summary

	client *http.Client
	to     *url.URL
	agent  string

	started  chan struct{} // closed when the first message is sent, or is not going to be
	startErr error         // read after that
	abandon  context.CancelFunc

	ending atomic.Bool   // somebody sends the last message
	ended  chan struct{} // closed when it is sent, or could not be
	endErr error         // read after that
}

// Begin tells the monitor at an address of [Parse] that the run begins, and returns at once.
// If ctx ends and [Run.End] is not called soon after, it tells the monitor that the run was
// interrupted.
func (r *Run) Begin(ctx context.Context, to *url.URL, userAgent string) {
	r.open(to, userAgent)
	var first context.Context
	first, r.abandon = context.WithTimeout(context.WithoutCancel(ctx), total)
	go func() {
		defer close(r.started)
		r.startErr = r.send(first, "start", "")
	}()
	context.AfterFunc(ctx, func() {
		select {
		case <-r.ended:
		case <-time.After(unwinding):
			r.last(ctx, "interrupted; it was still waiting for something")
		}
	})
}

// Fail tells a monitor of a run that failed before it could begin.
func (r *Run) Fail(ctx context.Context, to *url.URL, userAgent, failure string) error {
	r.open(to, userAgent)
	r.abandon = func() {}
	close(r.started)
	return r.End(ctx, failure)
}

// Begun reports whether the monitor was told, or nobody is to be told.
func (r *Run) Begun() bool { return r.to != nil }

func (r *Run) open(to *url.URL, userAgent string) {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxResponseHeaderBytes = maxHeader
	id := *to
	if query := id.Query(); !query.Has("rid") { // tells runs at the same time apart
		query.Set("rid", uuid.NewString())
		id.RawQuery = query.Encode()
	}
	r.to, r.agent = &id, userAgent
	r.client = &http.Client{
		Transport:     patience.New(patience.Bounds{Stall: stall}).Transport(base),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.started, r.ended = make(chan struct{}), make(chan struct{})
}

// End tells the monitor how the run ended, with the summary: failure is empty if it did all.
// It returns within seconds, and after an interrupt within one. An error says which monitor
// could not be told and why; a run that never began has none.
func (r *Run) End(ctx context.Context, failure string) error {
	if r.to == nil {
		return nil
	}
	r.last(ctx, failure)
	<-r.ended
	return r.endErr
}

// last sends the last message, after the first. It does nothing when it is called again.
func (r *Run) last(ctx context.Context, failure string) {
	if !r.ending.CompareAndSwap(false, true) {
		return
	}
	defer close(r.ended)
	out, cancel := context.WithTimeout(context.WithoutCancel(ctx), total)
	defer cancel()
	hurry := func() { time.AfterFunc(interrupted, cancel) }
	defer context.AfterFunc(ctx, hurry)()
	wait := startLeft
	if ctx.Err() != nil {
		wait = interrupted / 2
	}
	select { // else the monitor could take the first for a run that never ended
	case <-r.started:
	case <-time.After(wait):
		r.abandon()
		<-r.started
	}
	action, text := "", r.text()
	if failure != "" {
		action, text = "fail", failure+"\n\n"+text
	}
	err := r.send(out, action, cut(secret.Redact(text)))
	if err == nil {
		err = r.startErr
	}
	r.abandon()
	r.client.CloseIdleConnections()
	if err != nil {
		r.endErr = fmt.Errorf("telling the monitor at %s: %w; the run itself is not affected", r.to.Host, err)
	}
}

// send sends one message, or tries to a few times. The errors do not have the address.
func (r *Run) send(ctx context.Context, action, body string) error {
	to := r.to
	if action != "" {
		to = to.JoinPath(action)
	}
	p := patience.New(patience.Bounds{GiveUp: total, Retries: retries, Delay: firstDelay})
	var last error
	err := p.Do(ctx, func(ctx context.Context) error {
		last = r.try(ctx, to.String(), body)
		if last != nil && ctx.Err() != nil { // whatever it looks like
			last = ctx.Err()
		}
		return last
	})
	if err == nil {
		return nil
	}
	err = last // without what Do says of flags that are not for this
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	if silent, ok := errors.AsType[*patience.StallError](err); ok {
		return fmt.Errorf("no answer for %s", silent.For)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return err
}

func (r *Run) try(ctx context.Context, to, body string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", r.agent)
	request.Header.Set("Content-Type", "text/plain; charset=utf-8")
	answer, err := r.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch status := answer.StatusCode; {
	case patience.Passing(status):
		after, _ := patience.After(answer.Header)
		return &patience.Fault{Err: fmt.Errorf("it answered %d %s", status, http.StatusText(status)), After: after}
	case status >= 300 && status < 400:
		return fmt.Errorf("it answered %d and leads elsewhere: give the address that it leads to", status)
	case status < 200 || status >= 300:
		return fmt.Errorf("it answered %d %s: check the address", status, http.StatusText(status))
	case err != nil:
		return err
	case strings.HasPrefix(string(said), "OK (not found)"): // healthchecks.io, with a status of 200
		return errors.New("it knows no such check: check the address")
	case strings.HasPrefix(string(said), "OK (rate limited)"):
		return errors.New("it is told too often, and did not listen")
	}
	return nil
}

package patience

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// StallError says that no byte has moved either way for so long.
type StallError struct{ For time.Duration }

func (e *StallError) Error() string { return fmt.Sprintf("no byte for %s (--stall-timeout)", e.For) }

// Transport returns a transport over base, or over a copy of [http.DefaultTransport] if
// that is nil. It ends a try that stalls, wherever it is: looking up a name, connecting,
// sending, waiting for an answer, or reading it. Only while the caller itself neither
// sends nor reads does nobody wait. Failures that can pass are Faults, also while a body
// is read; and so is an answer of success that holds an error document or a web page,
// which gateways send. Other answers come back as they are.
func (p *Patience) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = 64
		base = t
	}
	return &transport{base, p}
}

// Strict is Transport for clients whose errors are not to be understood: an answer of a
// server in trouble (see [Passing]) becomes a Fault, too.
func (p *Patience) Strict(base http.RoundTripper) http.RoundTripper {
	return &strict{p.Transport(base)}
}

type transport struct {
	base http.RoundTripper
	*Patience
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	w := watch(r.Context(), t.bounds)
	r = r.WithContext(httptrace.WithClientTrace(w.ctx, w.trace()))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &sent{r.Body, w}
		if get := r.GetBody; get != nil {
			r.GetBody = func() (io.ReadCloser, error) {
				body, err := get()
				return &sent{body, w}, err
			}
		}
	}
	w.wait()
	answer, err := t.base.RoundTrip(r)
	w.rest()
	if err != nil {
		w.end()
		return nil, t.fault(r, w.cause(err))
	}
	t.met.Store(r.URL.Host, true)
	body := &received{ReadCloser: answer.Body, watch: w}
	answer.Body = body
	if answer.StatusCode >= http.StatusMultipleChoices {
		answer.Body = Bounded(body, MaxFailure, true, "")
	} else if r.Context().Value(streamKey{}) == nil {
		answer.Body = Bounded(body, MaxAnswer, false, "")
	}
	if answer.StatusCode >= 300 || r.Method == http.MethodHead || answer.ContentLength == 0 {
		return answer, nil
	}
	// The beginning tells an error document from an answer.
	body.head = bufio.NewReaderSize(readerFunc(body.read), longestHead)
	head, _ := body.head.Peek(longestHead) // an error comes again when it is read
	if isError(head) {
		body.Close()
		return nil, &Fault{Err: fmt.Errorf("the server answered %d with an error document", answer.StatusCode)} // which may repeat a secret
	}
	return answer, nil
}

// fault marks an error of the way to a server, unless it cannot pass.
func (t *transport) fault(r *http.Request, err error) error {
	if _, known := t.met.Load(r.URL.Host); known && isNotFound(err) {
		return &Fault{Err: err} // the name existed a moment ago
	}
	return Classify(err)
}

// Classify marks an error of a connection as a [Fault] unless it cannot pass: it was
// interrupted, a certificate was refused, the server does not speak TLS, its name does not
// exist, or the proxy wants a password.
func Classify(err error) error {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		host        x509.HostnameError
		record      tls.RecordHeaderError
		final       *finalError
		address     *net.AddrError
	)
	switch {
	case err == nil, MayPass(err), errors.As(err, &final),
		errors.Is(err, context.Canceled), isNotFound(err),
		errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &host), errors.As(err, &record), errors.As(err, &address),
		err.Error() == http.StatusText(http.StatusProxyAuthRequired):
		return err
	}
	return &Fault{Err: err}
}

func isNotFound(err error) bool {
	name, ok := errors.AsType[*net.DNSError](err)
	return ok && name.IsNotFound
}

// Final marks an error that is not tried again.
func Final(err error) error { return &finalError{err} }

type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }
func (*finalError) NonRetriable()   {} // as azcore asks

type strict struct{ http.RoundTripper }

func (s *strict) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if err != nil || !Passing(answer.StatusCode) {
		return answer, err
	}
	code := answer.Header.Get("X-Ms-Error-Code")
	const most = 4 << 10
	body, _ := io.ReadAll(io.LimitReader(answer.Body, most)) // what is cut off is told no worse
	answer.Body.Close()
	if found := errorCode.FindSubmatch(body); code == "" && found != nil {
		code = string(found[1])
	}
	if code != "" {
		code = " " + code
	}
	after, _ := After(answer.Header)
	return nil, &Fault{Err: fmt.Errorf("the service answered %d %s%s", answer.StatusCode, http.StatusText(answer.StatusCode), code), After: after}
}

var errorCode = regexp.MustCompile(`(?:<Code>|"reason":\s*")([A-Za-z]{1,60})`)

const longestHead = 256

var documents = regexp.MustCompile(`(?i)^(?:\x{feff})?\s*(?:<!doctype html|<html\b|(?:<\?xml[^>]*>\s*)?<error\b|\{\s*"(?:error|code)"\s*:)`)

// isError reports whether an answer begins as no answer does that says of a success.
func isError(head []byte) bool {
	return documents.Match(head) && !bytes.HasPrefix(head, []byte("PAR1"))
}

// watcher ends a request when nothing moves.
type watcher struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	bounds  Bounds
	started time.Time
	moved   atomic.Int64 // bytes

	mu    sync.Mutex
	timer *time.Timer
	waits bool // whether somebody waits for the server
}

func watch(ctx context.Context, b Bounds) *watcher {
	w := &watcher{bounds: b, started: time.Now()}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(b.Stall, func() { w.cancel(&Fault{Err: &StallError{b.Stall}}) })
	return w
}

// wait says that the server is waited for from now on.
func (w *watcher) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = true
	w.timer.Reset(w.bounds.Stall)
}

// rest says that nobody waits.
func (w *watcher) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waits = false
	w.timer.Stop()
}

// progress says that so many bytes have moved.
func (w *watcher) progress(n int) {
	moved := w.moved.Add(int64(n))
	if slow := time.Since(w.started) - w.bounds.GiveUp; slow > 0 && moved < int64(slow.Seconds())*MinRate {
		w.cancel(&Fault{Err: fmt.Errorf("only %d bytes in %s", moved, time.Since(w.started).Round(time.Second))})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits {
		w.timer.Reset(w.bounds.Stall)
	}
}

// cause returns why the watcher ended the request, if it did, or else err.
func (w *watcher) cause(err error) error {
	if cause := context.Cause(w.ctx); err != nil && cause != nil && MayPass(cause) {
		return cause
	}
	return err
}

func (w *watcher) end() {
	w.rest()
	w.cancel(nil)
}

func (w *watcher) trace() *httptrace.ClientTrace {
	moved := func() { w.progress(0) }
	return &httptrace.ClientTrace{
		DNSDone:              func(httptrace.DNSDoneInfo) { moved() },
		ConnectDone:          func(string, string, error) { moved() },
		TLSHandshakeDone:     func(tls.ConnectionState, error) { moved() },
		GotConn:              func(httptrace.GotConnInfo) { moved() },
		WroteRequest:         func(httptrace.WroteRequestInfo) { moved() },
		GotFirstResponseByte: moved,
	}
}

// sent is a request's body: what is read of it has left, but for a buffer.
type sent struct {
	io.ReadCloser
	*watcher
}

func (s *sent) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.progress(n)
	return n, err
}

// received is an answer's body.
type received struct {
	io.ReadCloser
	watch *watcher
	head  *bufio.Reader // nil where nothing was looked at
	ended bool
}

func (b *received) Read(p []byte) (int, error) {
	if b.head != nil {
		return b.head.Read(p)
	}
	return b.read(p)
}

func (b *received) read(p []byte) (int, error) {
	b.watch.wait()
	n, err := b.ReadCloser.Read(p)
	b.watch.rest()
	b.watch.progress(n)
	if b.ended = err == io.EOF; err != nil && !b.ended {
		err = Classify(b.watch.cause(err))
	}
	return n, err
}

func (b *received) Close() error {
	if b.ended { // the connection is good for another request
		defer b.watch.end()
	} else {
		b.watch.end() // so that closing does not wait for what is left
	}
	return b.ReadCloser.Close()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

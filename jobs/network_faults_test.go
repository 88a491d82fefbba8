package jobs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"syscall"
	"time"
)

// How an operation under a fault has to end.
type ending int

const (
	heals   ending = iota
	gives   ending = iota // up, within --give-up-after and two tries
	refuses               // at the first request
	tells                 // by an error or a wrong length, unless it heals
	stops                 // within two seconds of the interrupt
)

// networkFault is what happens to requests.
type networkFault struct {
	name string
	end  ending
	said string        // in the error
	took time.Duration // at least

	// faulty reports whether it happens to the n-th request, counted from 1, so long
	// after the first.
	faulty func(n int32, since time.Duration) bool

	serve    func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder)
	dial     func(ctx context.Context) error // in place of serve: what happens to a connection
	inAnswer bool                            // needs an answer with a body
	document bool                            // needs a request whose answer may have one
	upload   bool                            // needs a request with a body
	done     bool                            // the server has done what it was asked for
}

type serving = func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder)

func once(n int32, _ time.Duration) bool  { return n == 1 }
func twice(n int32, _ time.Duration) bool { return n <= 2 }
func always(int32, time.Duration) bool    { return true }
func forMinutes(m int) func(int32, time.Duration) bool {
	return func(_ int32, since time.Duration) bool { return since < time.Duration(m)*time.Minute }
}

func mute(_ http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
	<-r.Context().Done()
}

func status(code int, after string) serving {
	return func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
		io.Copy(io.Discard, r.Body)
		if after != "" {
			w.Header().Set("Retry-After", after)
		}
		w.WriteHeader(code)
	}
}

func document(kind, text string) serving {
	return func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", kind)
		io.WriteString(w, text)
	}
}

// done lets the server do what it was asked for.
func done(then func(w http.ResponseWriter, r *http.Request)) serving {
	return func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder) {
		whole()
		then(w, r)
	}
}

// part sends the header, and a part of the body of a length that may be a lie.
func part(length, sent func(int) int, then func(w http.ResponseWriter, r *http.Request)) serving {
	return func(w http.ResponseWriter, r *http.Request, whole func() *httptest.ResponseRecorder) {
		answer := whole()
		body := answer.Body.Bytes()
		copyHeader(w, answer)
		w.Header().Set("Content-Length", strconv.Itoa(length(len(body))))
		w.WriteHeader(answer.Code)
		w.Write(body[:sent(len(body))])
		http.NewResponseController(w).Flush()
		then(w, r)
	}
}

func copyHeader(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
}

func all(n int) int       { return n }
func half(n int) int      { return n / 2 }
func more(n int) int      { return n + 100 }
func nothing(int) int     { return 0 }
func allButOne(n int) int { return n - 1 }

func hangs(_ http.ResponseWriter, r *http.Request)    { <-r.Context().Done() }
func breakOff(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }
func end(http.ResponseWriter, *http.Request)          {}

func dialFails(err error) func(context.Context) error {
	return func(context.Context) error { return err }
}

var networkFaults = []networkFault{
	{name: "silent before the answer", faulty: once, serve: mute, took: time.Minute},
	{name: "silent twice", faulty: twice, serve: mute, took: 2 * time.Minute},
	{name: "silent for good", faulty: always, serve: mute, end: gives, said: "no byte for 1m0s"},
	{name: "silent behind the header", faulty: once, serve: part(all, nothing, hangs), inAnswer: true, done: true, took: time.Minute},
	{name: "silent in the middle", faulty: once, serve: part(all, half, hangs), inAnswer: true, done: true, took: time.Minute},
	{name: "silent before the last byte", faulty: once, serve: part(all, allButOne, hangs), inAnswer: true, done: true},
	{name: "silent in the middle, for good", faulty: always, serve: part(all, half, hangs), inAnswer: true, done: true, end: gives, said: "no byte for 1m0s"},
	{name: "silent when it is done", faulty: once, serve: done(hangs), done: true, took: time.Minute},
	{name: "reads nothing of an upload", faulty: once, serve: mute, upload: true, took: time.Minute},
	{name: "cut before the answer", faulty: once, serve: func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) { breakOff(w, r) }},
	{name: "cut before the answer, for good", faulty: always, serve: func(w http.ResponseWriter, r *http.Request, _ func() *httptest.ResponseRecorder) { breakOff(w, r) }, end: gives, said: "--give-up-after is 15m0s"},
	{name: "cut when it is done", faulty: once, serve: done(breakOff), done: true},
	{name: "cut behind the header", faulty: once, serve: part(all, nothing, breakOff), inAnswer: true, done: true},
	{name: "cut in the middle", faulty: once, serve: part(all, half, breakOff), inAnswer: true, done: true},
	{name: "cut in the middle, twice", faulty: twice, serve: part(all, half, breakOff), inAnswer: true, done: true},
	{name: "cut behind the header, for good", faulty: always, serve: part(all, nothing, breakOff), inAnswer: true, done: true, end: gives, said: "--give-up-after is 15m0s"},
	{name: "longer than it is", faulty: once, serve: part(more, all, end), inAnswer: true, done: true, end: tells},
	{name: "shorter than it is", faulty: once, serve: part(half, half, end), inAnswer: true, done: true, end: tells},
	{name: "408", faulty: once, serve: status(408, "")},
	{name: "429", faulty: once, serve: status(429, "")},
	{name: "500", faulty: once, serve: status(500, "")},
	{name: "502", faulty: once, serve: status(502, "")},
	{name: "503", faulty: twice, serve: status(503, "")},
	{name: "504", faulty: once, serve: status(504, "")},
	{name: "429 that asks for ten minutes", faulty: once, serve: status(429, "600"), took: 10 * time.Minute},
	{name: "429 for ten minutes", faulty: forMinutes(10), serve: status(429, ""), took: 10 * time.Minute},
	{name: "429 for twenty minutes", faulty: forMinutes(20), serve: status(429, ""), end: gives, said: "429"},
	{name: "429 that asks for twenty minutes", faulty: always, serve: status(429, "1200"), end: refuses, said: "it asks to wait 20m0s (tried once; --give-up-after is 15m0s): come back at 2000-01-01T00:20:"},
	{name: "503 that asks for a second", faulty: forMinutes(5), serve: status(503, "1"), took: 5 * time.Minute},
	{name: "a web page in place of an answer", faulty: once, serve: document("text/html", "<!DOCTYPE html><html><body>502</body></html>"), document: true},
	{name: "a web page, for good", faulty: always, serve: document("text/html", "<html>502</html>"), document: true, end: gives, said: "error document"},
	{name: "an error document of xml", faulty: once, serve: document("application/xml", `<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`), document: true},
	{name: "an error document of json", faulty: once, serve: document("application/json", `{"error":{"code":503,"message":"backend"}}`), document: true},
	{name: "400", faulty: always, serve: status(400, ""), end: refuses},
	{name: "401", faulty: always, serve: status(401, ""), end: refuses},
	{name: "403", faulty: always, serve: status(403, ""), end: refuses},
	{name: "404", faulty: always, serve: status(404, ""), end: refuses},
	{name: "silent, and interrupted", faulty: always, serve: mute, end: stops},
	{name: "silent in the middle, and interrupted", faulty: always, serve: part(all, half, hangs), inAnswer: true, done: true, end: stops},
	{name: "503, and interrupted", faulty: always, serve: status(503, ""), end: stops},
	{name: "429 that asks for ten minutes, and interrupted", faulty: always, serve: status(429, "600"), end: stops},
	{name: "connection refused", faulty: twice, dial: dialFails(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})},
	{name: "connection reset", faulty: once, dial: dialFails(&net.OpError{Op: "read", Err: syscall.ECONNRESET})},
	{name: "connecting hangs", faulty: once, dial: func(context.Context) error { time.Sleep(2 * time.Minute); return syscall.ETIMEDOUT }, took: time.Minute},
	{name: "no name server", faulty: twice, dial: dialFails(&net.DNSError{Err: "server misbehaving", Name: "x", IsTemporary: true})},
	{name: "no such host", faulty: always, dial: dialFails(&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}), end: tells},
	{name: "a wrong certificate", faulty: always, dial: dialFails(&tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "x"}}), end: refuses, said: "x509"},
}

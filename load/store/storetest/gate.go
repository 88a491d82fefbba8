package storetest

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"
)

// Gate stands in front of a server and may interfere with requests that upload.
type Gate struct {
	Server    http.Handler
	IsUpload  func(*http.Request) bool
	Uploads   atomic.Int32 // how many came while Interfere was set
	Interfere Interference // nil for none
}

// Interference answers the n-th upload request, counted from 1.
type Interference func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler)

func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.Interfere != nil && g.IsUpload(r) {
		g.Interfere(g.Uploads.Add(1), w, r, g.Server)
		return
	}
	g.Server.ServeHTTP(w, r)
}

// Listen opens the gate and returns its URL. Server may be set later.
func (g *Gate) Listen(t *testing.T) string {
	t.Helper()
	front := httptest.NewServer(g)
	t.Cleanup(front.Close)
	return front.URL
}

// Afterwards lets the server do the n-th upload request, and loses its answer.
func Afterwards(at int32, fail func(http.ResponseWriter)) Interference {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == at {
			server.ServeHTTP(httptest.NewRecorder(), r)
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// Instead fails the n-th upload request before the server sees it.
func Instead(at int32, fail func(http.ResponseWriter)) Interference {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == at {
			// Read first: the clients reuse the buffer that they are still sending.
			_, _ = io.Copy(io.Discard, r.Body)
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// firstFail fails the first upload requests before the server sees them.
func firstFail(last int32, fail func(http.ResponseWriter)) Interference {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n <= last {
			fail(w)
			return
		}
		server.ServeHTTP(w, r)
	}
}

// allFail fails every upload request; if done, the server has done the first.
func allFail(done bool) Interference {
	return func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if n == 1 && done {
			server.ServeHTTP(httptest.NewRecorder(), r)
		}
		Busy(w)
	}
}

// Halfway cuts the first upload request's connection in the middle of its body.
func Halfway(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	if n == 1 {
		if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength/2); err != nil {
			panic(err)
		}
		Cut(w)
		return
	}
	server.ServeHTTP(w, r)
}

// damage changes a byte of every upload.
func damage(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	body[len(body)/2] ^= 1
	r.Body = io.NopCloser(bytes.NewReader(body))
	server.ServeHTTP(w, r)
}

// shorten drops the end of every upload, as if the upload were meant to be shorter.
func shorten(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	body = body[:len(body)-len(body)/4]
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	server.ServeHTTP(w, r)
}

// Busy answers that the server is busy.
func Busy(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }

// Throttled answers that there were too many requests.
func Throttled(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }

// Cut breaks the connection.
func Cut(w http.ResponseWriter) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// Ignoring serves uploads as a server does that ignores If-None-Match or If-Match, or
// neither if condition is empty.
func Ignoring(condition string) Interference {
	return func(_ int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		query := r.URL.Query()
		generation := query.Get("ifGenerationMatch") // of Google's: 0 says that it must not exist
		switch {
		case condition == "":
		case r.Header.Get(condition) != "" && r.Header.Get("X-Ms-Version") != "":
			// The signature is over Azure's conditions, so the server heeds them, and its answer
			// is changed.
			answer := httptest.NewRecorder()
			server.ServeHTTP(answer, r)
			maps.Copy(w.Header(), answer.Header())
			if answer.Code == http.StatusConflict || answer.Code == http.StatusPreconditionFailed {
				w.Header().Del("X-Ms-Error-Code")
				w.Header().Del("Content-Length")
				w.Header().Set("Etag", `"0x8DEADBEEF"`)
				w.WriteHeader(http.StatusCreated)
				return
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		case generation != "" && (generation == "0") == (condition == "If-None-Match"):
			query.Del("ifGenerationMatch")
			r.URL.RawQuery = query.Encode()
		default:
			r.Header.Del(condition)
		}
		server.ServeHTTP(w, r)
	}
}

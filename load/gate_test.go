package load

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// gate stands before a server and may do something to an upload request.
type gate struct {
	next     http.Handler
	isUpload func(*http.Request) bool
	uploads  atomic.Int32

	mu     sync.Mutex
	meddle meddle
}

// meddle does something to the n-th upload request, from 1.
type meddle func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler)

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	meddle := g.meddle
	g.mu.Unlock()
	if meddle != nil && g.isUpload(r) {
		meddle(g.uploads.Add(1), w, r, g.next)
		return
	}
	g.next.ServeHTTP(w, r)
}

func (g *gate) use(m meddle) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.meddle = m
}

// afterwards lets the server do the n-th upload request, and loses its answer.
func afterwards(at int32) meddle {
	return func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n == at {
			next.ServeHTTP(httptest.NewRecorder(), r)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}
}

// instead fails the n-th upload request before the server sees it.
func instead(at int32, fail func(http.ResponseWriter, *http.Request)) meddle {
	return func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n == at {
			fail(w, r)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func busy(w http.ResponseWriter, _ *http.Request)      { w.WriteHeader(http.StatusServiceUnavailable) }
func throttled(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }

// cut resets the connection in the middle of the body.
func cut(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > 0 {
		if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength/2); err != nil {
			panic(err)
		}
	}
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// upload is an upload that something happens to.
type upload struct {
	src    Source
	meddle meddle
}

// oneRequest is what may happen to a store that puts an object in one request.
func oneRequest() map[string]upload {
	small, large := randomSource(1000, 1), randomSource(1_000_000, 2)
	return map[string]upload{
		"busy":               {small, instead(1, busy)},
		"throttled":          {small, instead(1, throttled)},
		"cut":                {small, instead(1, cut)},
		"cut, large":         {large, instead(1, cut)},
		"lost answer":        {small, afterwards(1)},
		"lost answer, large": {large, afterwards(1)},
	}
}

// testUploadsSurvive is that each upload ends well, over an object and without one.
func testUploadsSurvive(t *testing.T, uploads map[string]upload, open func(t *testing.T) (Store, *gate)) {
	for name, tc := range uploads {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := open(t)
				old := ""
				if over {
					before, err := s.Put(t.Context(), localKey, randomSource(5, 5), "")
					if err != nil {
						t.Fatal(err)
					}
					old = before.Version
				}
				gate.use(tc.meddle)
				obj, err := s.Put(t.Context(), localKey, tc.src, old)
				if err != nil {
					t.Fatalf("over an object %v: %v", over, err)
				}
				if found := holdsSource(t, s, localKey, tc.src); found != obj {
					t.Errorf("Put = %+v, Stat = %+v", obj, found)
				}
			}
		})
	}
}

// testSomebodyElse is that somebody else's object at the retry is a conflict.
func testSomebodyElse(t *testing.T, s Store, gate *gate) {
	theirs := randomSource(700, 7)
	gate.use(func(_ int32, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		gate.use(nil)
		if _, err := s.Put(t.Context(), localKey, theirs, ""); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if _, err := s.Put(t.Context(), localKey, randomSource(700, 8), ""); !errors.Is(err, ErrConflict) {
		t.Errorf("error = %v", err)
	}
	holdsSource(t, s, localKey, theirs)
}

// testMissingBucket is that reading and writing without a bucket say so.
func testMissingBucket(t *testing.T, s Store, address, hint string) {
	t.Helper()
	if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil || !strings.Contains(err.Error(), address+localKey) || !strings.Contains(err.Error(), hint) {
		t.Errorf("error = %v", err)
	}
	listed := false
	for _, err := range s.List(t.Context(), "") {
		listed = true
		if err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("error = %v", err)
		}
	}
	if !listed {
		t.Error("it lists no objects, and no error")
	}
}

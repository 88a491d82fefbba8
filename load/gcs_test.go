package load

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"
)

// gcsGate stands before the server and may do something to an upload request.
type gcsGate struct {
	server  *fakestorage.Server
	uploads atomic.Int32
	meddle  func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler) // n counts uploads from 1
}

func (g *gcsGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	next := g.server.HTTPHandler()
	if g.meddle != nil && strings.Contains(r.URL.Path, "/upload/") {
		g.meddle(g.uploads.Add(1), w, r, next)
		return
	}
	next.ServeHTTP(w, r)
}

// newTestGCS opens a store on a server that speaks the protocol, with small chunks.
func newTestGCS(t *testing.T, bucket string) (*gcs, *gcsGate) {
	t.Helper()
	gate := &gcsGate{}
	front := httptest.NewServer(gate)
	t.Cleanup(front.Close)
	host, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	gate.server, err = fakestorage.NewServerWithOptions(fakestorage.Options{NoListener: true, Scheme: "http", ExternalURL: front.URL, PublicHost: host.Host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gate.server.Stop)
	gate.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	s, err := newGCS(t.Context(), bucket, "a/warehouse")
	if err != nil {
		t.Fatal(err)
	}
	s.chunk = 256 << 10
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, gate
}

func TestGCSStore(t *testing.T) {
	testStore(t, func(t *testing.T) Store {
		s, _ := newTestGCS(t, "bucket")
		return s
	})
}

// afterwards lets the server do the n-th upload request, and loses its answer.
func afterwards(at int32) func(int32, http.ResponseWriter, *http.Request, http.Handler) {
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
func instead(at int32, fail func(http.ResponseWriter)) func(int32, http.ResponseWriter, *http.Request, http.Handler) {
	return func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n == at {
			fail(w)
			return
		}
		next.ServeHTTP(w, r)
	}
}

func TestGCSUploadsSurvive(t *testing.T) {
	busy := func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }
	throttled := func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) }
	cut := func(w http.ResponseWriter) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		conn.Close()
	}
	small, large := randomSource(1000, 1), randomSource(1_000_000, 2)
	for name, tc := range map[string]struct {
		src    Source
		meddle func(int32, http.ResponseWriter, *http.Request, http.Handler)
	}{
		"busy, small":                   {small, instead(1, busy)},
		"throttled, small":              {small, instead(1, throttled)},
		"cut, small":                    {small, instead(1, cut)},
		"lost answer, small":            {small, afterwards(1)},
		"busy, in a chunk":              {large, instead(3, busy)},
		"cut, in a chunk":               {large, instead(3, cut)},
		"lost answer of the beginning":  {large, afterwards(1)},
		"lost answer of a chunk":        {large, afterwards(3)},
		"lost answer of the last chunk": {large, afterwards(5)},
	} {
		t.Run(name, func(t *testing.T) {
			for _, over := range []bool{false, true} {
				s, gate := newTestGCS(t, "bucket")
				old := ""
				if over {
					before, err := s.Put(t.Context(), localKey, randomSource(5, 5), "")
					if err != nil {
						t.Fatal(err)
					}
					old = before.Version
				}
				gate.meddle = tc.meddle
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

// Somebody else's object at the lost answer's retry is a conflict, not ours.
func TestGCSLostAnswerAndSomebodyElse(t *testing.T) {
	s, gate := newTestGCS(t, "bucket")
	theirs := randomSource(700, 7)
	gate.meddle = func(n int32, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if n == 1 {
			gate.meddle = nil
			if _, err := s.Put(t.Context(), localKey, theirs, ""); err != nil {
				t.Error(err)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		next.ServeHTTP(w, r)
	}
	if _, err := s.Put(t.Context(), localKey, randomSource(700, 8), ""); !errors.Is(err, ErrConflict) {
		t.Errorf("error = %v", err)
	}
	holdsSource(t, s, localKey, theirs)
}

func TestGCSErrorsSayWhatToDo(t *testing.T) {
	s, _ := newTestGCS(t, "no-such-bucket")
	if _, err := s.Put(t.Context(), localKey, randomSource(10, 1), ""); err == nil || !strings.Contains(err.Error(), "gs://no-such-bucket/a/warehouse/tags/a/data.parquet") || !strings.Contains(err.Error(), "make the bucket") {
		t.Errorf("error = %v", err)
	}
	for _, err := range s.List(t.Context(), "") {
		if err == nil || !strings.Contains(err.Error(), "make the bucket") {
			t.Errorf("error = %v", err)
		}
	}
}

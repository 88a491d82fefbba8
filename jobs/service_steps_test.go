package jobs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cvexport/cvexport/internal/pipeserver"
)

// failingService stands before the service and fails the n-th request, or all
// from there on.
type failingService struct {
	service http.Handler
	at      int32 // from 1; 0: none
	forGood bool
	fail    func(w http.ResponseWriter, r *http.Request, whole *httptest.ResponseRecorder)
	done    atomic.Int32 // requests so far
}

func (f *failingService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := f.done.Add(1)
	if n != f.at && !(f.forGood && f.at > 0 && n > f.at) {
		f.service.ServeHTTP(w, r)
		return
	}
	whole := httptest.NewRecorder()
	f.service.ServeHTTP(whole, r)
	f.fail(w, r, whole)
}

// serviceFailures are the ways in which a request fails. Only what is right may
// be taken for an answer.
var serviceFailures = []struct {
	name  string
	fail  func(w http.ResponseWriter, r *http.Request, whole *httptest.ResponseRecorder)
	hangs bool // until the client gives up
}{
	{"error", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"code":"ErrorUnknown","message":"Unknown"}`)
	}, false},
	{"refusal", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.WriteHeader(http.StatusBadRequest)
	}, false},
	{"hang", func(_ http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) { <-r.Context().Done() }, true},
	{"hang in the body", func(w http.ResponseWriter, r *http.Request, whole *httptest.ResponseRecorder) {
		w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, true},
	{"short", func(w http.ResponseWriter, _ *http.Request, whole *httptest.ResponseRecorder) {
		w.Write(whole.Body.Bytes()[:whole.Body.Len()/2])
	}, false},
	{"empty", func(http.ResponseWriter, *http.Request, *httptest.ResponseRecorder) {}, false},
	{"cut connection", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) { cutConnection(w, "") }, false},
	{"cut in the body", func(w http.ResponseWriter, _ *http.Request, whole *httptest.ResponseRecorder) {
		body := whole.Body.String()
		cutConnection(w, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2]))
	}, false},
	{"success reported as failure", func(w http.ResponseWriter, _ *http.Request, whole *httptest.ResponseRecorder) {
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write(whole.Body.Bytes())
	}, false},
	{"failure reported as success", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		fmt.Fprint(w, `{"code":"ErrorUnknown","message":"Unknown"}`)
	}, false},
	{"page of a gateway", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html>502</html>")
	}, false},
	{"empty list", func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		if strings.HasSuffix(r.URL.Path, "/tags") { // which could be true
			w.WriteHeader(http.StatusBadGateway)
		}
		fmt.Fprint(w, "[]")
	}, false},
	{"null", func(w http.ResponseWriter, _ *http.Request, _ *httptest.ResponseRecorder) { fmt.Fprint(w, "null") }, false},
}

// cutConnection sends these bytes and resets the connection.
func cutConnection(w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Write([]byte(text))
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}

// Whatever request to the service fails in whatever way, once or from there on:
// the warehouse is as it was, or new as a whole, and the next run makes it new.
func TestServiceFailsAtEveryStep(t *testing.T) {
	stride := strideOf(9)
	failed, healed := 0, 0
	s := newSteps(t)
	store := localStore(t)
	s.use(t, store, store.URL(""))
	for i, failure := range serviceFailures {
		for _, forGood := range []bool{false, true} {
			for at := int32(1); ; at++ {
				if (int(at)+i)%stride != 0 {
					continue
				}
				content := 1 - max(s.held, 0)
				failing := &failingService{at: at, forGood: forGood, fail: failure.fail}
				front := func(h http.Handler) http.Handler {
					failing.service = h
					return failing
				}
				var err error
				export := func(t *testing.T, serve func(testing.TB, http.Handler) string) {
					client, _ := contentClientOf(t, []int{3, 5}[content], front, serve)
					err = s.export(t, t.Context(), client, s.store)
				}
				if failure.hangs {
					synctest.Test(t, func(t *testing.T) { export(t, pipeserver.Start) })
				} else {
					export(t, serveHTTP)
				}
				if failing.done.Load() < at {
					if err != nil {
						t.Fatalf("without a fault: %v", err)
					}
					s.held = content
					break
				}
				if err == nil {
					healed++
					s.check(t, content, nil)
				} else {
					s.unchanged(t, err)
				}
				s.repair(t, content)
				if failed++; t.Failed() {
					t.Fatalf("request %d, %s, for good %v: %v", at, failure.name, forGood, err)
				}
			}
		}
	}
	t.Logf("FIGURES: %d requests to the service failed one by one, of which %d healed at once", failed, healed)
	if healed == 0 || healed == failed {
		t.Error("all are alike: the test shows nothing")
	}
}

// unchanged checks that a run that could not read the service left everything.
func (s *steps) unchanged(t *testing.T, err error) {
	t.Helper()
	if !strings.Contains(err.Error(), s.request.Project.String()) {
		t.Errorf("the error does not name the project: %v", err)
	}
	if s.held >= 0 {
		s.check(t, s.held, nil)
		return
	}
	for range s.store.List(t.Context(), "") {
		t.Error("there is an object")
	}
}

// A run that is interrupted while the service does not answer, at whichever
// request, leaves the warehouse.
func TestInterruptedAtEveryRequest(t *testing.T) {
	s := newSteps(t)
	store := localStore(t)
	s.use(t, store, store.URL(""))
	s.repair(t, 0)
	stride := int32(strideOf(3))
	interrupted := 0
	for at := int32(1); ; at += stride {
		ctx, cancel := context.WithCancel(t.Context())
		failing := &failingService{at: at, fail: func(_ http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
			cancel()
			<-r.Context().Done()
		}}
		client, _ := contentClient(t, 5, func(h http.Handler) http.Handler { failing.service = h; return failing })
		err := s.export(t, ctx, client, s.store)
		cancel()
		if failing.done.Load() < at {
			if err != nil {
				t.Errorf("without a fault: %v", err)
			}
			break
		}
		if interrupted++; !errors.Is(err, context.Canceled) {
			t.Errorf("request %d: %v", at, err)
		}
		s.check(t, 0, nil)
	}
	t.Logf("FIGURES: %d requests to the service hung until the run was interrupted", interrupted)
}

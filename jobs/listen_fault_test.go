package jobs

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs/notify"
)

// troubled stands before a queue service, and answers in its place if fail does.
type troubled struct {
	mu   sync.Mutex
	fail func(http.ResponseWriter, *http.Request) bool // whether it did
}

func (s *troubled) set(fail func(http.ResponseWriter, *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

func newTroubled(t *testing.T, server *queueService) (*troubled, *mailbox) {
	t.Helper()
	target, err := url.Parse(strings.TrimSuffix(server.QueueEndpoint, "/"+server.Account))
	if err != nil {
		t.Fatal(err)
	}
	s := &troubled{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		fail := s.fail
		s.mu.Unlock()
		if fail == nil || !fail(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	return s, newMailboxBehind(t, server.Server, front.URL+"/"+server.Account)
}

// returned receives the one message so often, and gives it back each time.
func (m *mailbox) returned(t *testing.T, times int) {
	t.Helper()
	for range times {
		got, err := m.Receive(t.Context(), time.Minute)
		if err != nil || got == nil {
			t.Fatal(got, err)
		}
		if err := got.Hide(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestListenTries(t *testing.T) {
	server := startQueues(t)
	const tries = 3
	for name, tc := range map[string]struct {
		returned, maxTries int
		fails              bool
		want               map[Outcome]int
		left, poisoned     int64
	}{
		"given back too often, and exported":  {returned: tries, maxTries: tries, want: map[Outcome]int{Exported: 1}},
		"a failure of too few":                {returned: tries - 2, maxTries: tries, fails: true, want: map[Outcome]int{Failed: 1}, left: 1},
		"the last failure moves it at once":   {returned: tries - 1, maxTries: tries, fails: true, want: map[Outcome]int{Failed: 1}, poisoned: 1},
		"given back too often, and failed":    {returned: tries + 1, maxTries: tries, fails: true, want: map[Outcome]int{Failed: 1}, poisoned: 1},
		"given back often, but not too often": {returned: maxReceived - 1, maxTries: 1, want: map[Outcome]int{Exported: 1}},
		"given back far too often":            {returned: maxReceived, maxTries: 1, want: map[Outcome]int{}, poisoned: 1},
		"the pause is within what queues can": {returned: 9, maxTries: 20, fails: true, want: map[Outcome]int{Failed: 1}, left: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newBench(t, simulated.Config{Images: 20}), newMailbox(t, server.Server)
			if tc.fails {
				b.service.Fault(simulated.Fault{Kind: simulated.MissingID, Page: 0})
			}
			m.send(t, trained(b, 0, 0))
			m.returned(t, tc.returned)
			counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, MaxTries: tc.maxTries, Retry: time.Hour})
			if err != nil || !maps.Equal(counts, tc.want) {
				t.Errorf("outcomes %v, %v", counts, err)
			}
			if left, poisoned := m.left(t); left != tc.left || poisoned != tc.poisoned {
				t.Errorf("%d messages left, %d poisoned", left, poisoned)
			}
			if len(tc.want) == 0 && len(b.service.Requests()) > 0 {
				t.Error("it was tried")
			}
		})
	}
}

func TestListenPause(t *testing.T) {
	for tries, want := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 9: 256 * time.Minute, 10: 256 * time.Minute} {
		l := listener{ListenOptions: ListenOptions{Retry: time.Minute}}
		if got := l.pause(&notify.Message{Tries: tries}); got != want {
			t.Errorf("after %d tries: %s, want %s", tries, got, want)
		}
	}
	l := listener{ListenOptions: ListenOptions{Retry: time.Hour}}
	if got := l.pause(&notify.Message{Tries: 5}); got != maxPause {
		t.Errorf("longest pause: %s", got)
	}
}

// A message that cannot be moved to the poison queue keeps no other from being
// worked off.
func TestListenWithoutPoison(t *testing.T) {
	server := startQueues(t)
	b := newBench(t, simulated.Config{Iterations: 2, Images: 20})
	s, m := newTroubled(t, server)
	s.set(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "-poison") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	m.send(t, "unreadable")
	m.send(t, trained(b, 0, 0))
	counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true})
	if err != nil || !maps.Equal(counts, map[Outcome]int{Exported: 1}) {
		t.Errorf("outcomes %v, %v", counts, err)
	}
	if left, poisoned := m.left(t); left != 1 || poisoned != 0 {
		t.Errorf("%d messages left, %d poisoned", left, poisoned)
	}
}

// What the queue fails to do for now ends no listener, and the message comes back; a
// refusal does end it.
func TestListenThroughAnOutage(t *testing.T) {
	server := startQueues(t)
	answers := func(status int) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.WriteHeader(status) }
	}
	cut := func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		method string
		answer func(http.ResponseWriter)
		fails  bool // the export
		ends   bool
	}{
		"deleting, 503":       {http.MethodDelete, answers(503), false, false},
		"deleting, cut":       {http.MethodDelete, cut, false, false},
		"hiding, 503":         {http.MethodPut, answers(503), true, false},
		"hiding, cut":         {http.MethodPut, cut, true, false},
		"deleting is refused": {http.MethodDelete, answers(403), false, true},
		"hiding is refused":   {http.MethodPut, answers(403), true, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, simulated.Config{Images: 20})
			s, m := newTroubled(t, server)
			if tc.fails {
				b.service.Fault(simulated.Fault{Kind: simulated.MissingID, Page: 0, Times: 3})
			}
			s.set(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != tc.method {
					return false
				}
				tc.answer(w)
				return true
			})
			m.send(t, trained(b, 0, 0))
			warned := logWatch{text: "the message will return by itself", seen: make(chan struct{}), once: &sync.Once{}}
			first, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true, Log: slog.New(warned)})
			if want := map[bool]Outcome{true: Failed, false: Exported}[tc.fails]; first[want] != 1 || tc.ends != (err != nil) {
				t.Fatalf("outcomes %v, %v", first, err)
			}
			if tc.ends {
				return
			}
			select {
			case <-warned.seen:
			default:
				t.Error("nothing is said")
			}
			s.set(nil)
			server.advance(time.Hour)
			counts, err := b.listen(t, t.Context(), m, ListenOptions{UntilIdle: true})
			want := map[bool]Outcome{true: Exported, false: Present}[tc.fails]
			if err != nil || !maps.Equal(counts, map[Outcome]int{want: 1}) {
				t.Errorf("outcomes %v, %v", counts, err)
			}
			if left, poisoned := m.left(t); left+poisoned > 0 {
				t.Errorf("%d messages left, %d poisoned", left, poisoned)
			}
		})
	}
}

package ping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/pipeserver"
	"github.com/cvexport/cvexport/secret"
)

const token = "/7c1e/5c9f1d0e-1b7c-4a1e-9a52-0d6c3f6f2a11"

// monitor records what it is told.
type monitor struct {
	mu    sync.Mutex
	told  []string // path and body
	ids   map[string]bool
	reply http.HandlerFunc
}

func (m *monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m.mu.Lock()
	action, ours := strings.CutPrefix(r.URL.Path, token)
	if r.Method != http.MethodPost || !ours || r.URL.Query().Get("create") != "1" || err != nil {
		action = fmt.Sprintf("%s %s, %v", r.Method, r.URL, err)
	}
	m.told = append(m.told, strings.TrimSpace(action+" "+string(body)))
	m.ids[r.URL.Query().Get("rid")] = true
	m.mu.Unlock()
	if m.reply != nil {
		m.reply(w, r)
	} else {
		io.WriteString(w, "OK")
	}
}

// Whatever a monitor does, a run ends when it should, and an error says what it did.
func TestMonitor(t *testing.T) {
	answers := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", r.URL.String()+"/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	drips := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, "."); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	only := func(action string, do http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, action) {
				do(w, r)
			}
		}
	}
	done := []string{"/start", "the summary"}
	thrice := []string{"/start", "/start", "/start", "the summary", "the summary", "the summary"}
	for name, tc := range map[string]struct {
		reply     http.HandlerFunc
		failure   string
		interrupt bool
		stuck     time.Duration // after the interrupt
		want      []string
		err       string
		atMost    time.Duration // that the end takes
	}{
		"done":                   {nil, "", false, 0, done, "", 0},
		"failed":                 {nil, "exit code 3: no", false, 0, []string{"/start", "/fail exit code 3: no\n\nthe summary"}, "", 0},
		"interrupted":            {nil, "exit code 130", true, 0, []string{"/start", "/fail exit code 130\n\nthe summary"}, "", 0},
		"interrupted, and stuck": {nil, "exit code 130", true, time.Second, []string{"/start", "/fail interrupted; it was still waiting for something\n\nthe summary"}, "", 0},
		"interrupted, silent":    {silent, "exit code 130", true, 0, []string{"/start", "/fail exit code 130\n\nthe summary"}, "no answer in time", time.Second},
		"away for a moment":      {nil, "", false, 0, []string{"/start", "/start", "the summary"}, "", 0},
		"500":                    {answers(500, ""), "", false, 0, thrice, "it answered 500 Internal Server Error", 4 * time.Second},
		"429":                    {answers(429, ""), "", false, 0, thrice, "it answered 429 Too Many Requests", 4 * time.Second},
		"404":                    {answers(404, "no "+token), "", false, 0, done, "it answered 404 Not Found: check the address", 0},
		"302":                    {answers(302, ""), "", false, 0, done, "it answered 302 and leads elsewhere", 0},
		"not found":              {answers(200, "OK (not found)"), "", false, 0, done, "it knows no such check", 0},
		"limited":                {answers(200, "OK (rate limited)"), "", false, 0, done, "it is told too often", 0},
		"page":                   {answers(200, "<html>"+token), "", false, 0, thrice, "the server answered 200 with an error document", 4 * time.Second},
		"endless":                {answers(200, strings.Repeat("x", 1<<20)), "", false, 0, done, "", 0},
		"header":                 {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "", false, 0, thrice, "net/http: HTTP/1.x transport connection broken: net/http: server response headers exceeded", 4 * time.Second},
		"drips":                  {drips, "", false, 0, done, "no answer in time", total},
		"silent":                 {silent, "", false, 0, []string{"/start", "the summary", "the summary"}, "no answer", total},
		"silent at first":        {only("start", silent), "", false, 0, done, "no answer in time", startLeft},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &monitor{ids: map[string]bool{}, reply: tc.reply}
				if name == "away for a moment" {
					var once sync.Once
					m.reply = func(http.ResponseWriter, *http.Request) { once.Do(func() { panic(http.ErrAbortHandler) }) }
				}
				to, err := Parse(pipeserver.Start(t, m) + token + "?create=1")
				if err != nil {
					t.Fatal(err)
				}
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				var r Run
				r.Begin(ctx, to, "test")
				io.WriteString(&r, "the summary")
				synctest.Wait()
				if tc.interrupt {
					interrupt()
					time.Sleep(tc.stuck)
				}
				began := time.Now()
				err = r.End(ctx, tc.failure)
				if took := time.Since(began); took > tc.atMost && tc.err != "" || tc.err == "" && took > total {
					t.Errorf("the end takes %s", took)
				}
				if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), "telling the monitor at 127.0.0.1:1: "+tc.err)) {
					t.Errorf("error %v, want %s", err, tc.err)
				}
				if err != nil && strings.Contains(err.Error(), token[5:]) {
					t.Errorf("the error has the address: %v", err)
				}
				m.mu.Lock()
				defer m.mu.Unlock()
				if diff := cmp.Diff(tc.want, m.told); diff != "" {
					t.Errorf("it was told (-want +got):\n%s", diff)
				}
				if len(m.ids) != 1 || m.ids[""] {
					t.Errorf("the run's ids are %v, want one", m.ids)
				}
			})
		})
	}
}

// A certificate that nobody vouches for is an error, and the server learns nothing.
func TestMonitorsCertificate(t *testing.T) {
	m := &monitor{ids: map[string]bool{}}
	server := httptest.NewUnstartedServer(m)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	to, err := Parse(server.URL + token)
	if err != nil {
		t.Fatal(err)
	}
	if err := new(Run).Fail(t.Context(), to, "test", "no"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	if len(m.told) > 0 {
		t.Errorf("it was told %v", m.told)
	}
}

func TestParse(t *testing.T) {
	const address = "https://me:a-password-of-9@hc-ping.com/Zk81xvQ0aWb27Lx9TqPn4R/nightly-export?token=q82h3d7s"
	if _, err := Parse(address); err != nil {
		t.Fatal(err)
	}
	for text, part := range map[string]string{
		"lookup hc-ping.com: no such host": "", "Zk81xvQ0aWb27Lx9TqPn4R": "aWb27Lx9TqPn", "a-password-of-9": "password", "/nightly-export/start": "nightly", "?token=q82h3d7s": "q82h3d7s",
	} {
		if got := secret.Redact(text); part == "" && got != text || part != "" && strings.Contains(got, part) {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, text := range []string{"", "hc-ping.com/" + token, "ftp://hc-ping.com" + token, "https:/hc-ping.com" + token, "https://" + token, "https://hc-ping.com" + token + "\n", "https://h/%zz" + token, "https://hc-ping.com" + token + "#x"} {
		if to, err := Parse(text); !errors.Is(err, ErrURL) {
			t.Errorf("%q is %v, %v", text, to, err)
		}
	}
}

// A long summary keeps its two ends, and is still text.
func TestLongSummary(t *testing.T) {
	var s summary
	fmt.Fprint(&s, "begin")
	for range 100 {
		fmt.Fprint(&s, strings.Repeat("猫", 10_000))
	}
	fmt.Fprint(&s, "end")
	got := cut("failed\n\n" + s.text())
	if len(got) > maxBody || len(got) < maxBody-10 || !strings.HasPrefix(got, "failed\n\nbegin猫") || !strings.HasSuffix(got, "猫end") || strings.Count(got, omitted) != 1 {
		t.Errorf("%d bytes: %.30s ... %s", len(got), got, got[len(got)-10:])
	}
	if strings.Trim(strings.Replace(got, omitted, "", 1), "abdefgiln\n猫") != "" {
		t.Error("it has other characters")
	}
	if got := cut(new(summary).text()); got != "" {
		t.Error(got)
	}
}

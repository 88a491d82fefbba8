package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cvexport/cvexport/internal/pipeserver"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

const testKey = "0123456789abcdef0123456789abcdef"

var (
	projectID   = schema.ID{1, 15: 1}
	iterationID = schema.ID{2, 15: 2}
)

// newTestClient makes a client of a handler, whose retries do not wait.
func newTestClient(t *testing.T, handler http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	opts := Options{Endpoint: server.URL, Key: testKey, Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond}}
	for _, f := range change {
		f(&opts)
	}
	client, err := NewClient(opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newPipeClient is newTestClient for the synthetic time of synctest.
func newPipeClient(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	client, err := NewClient(Options{Endpoint: pipeserver.Start(t, handler), Key: testKey, Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond}})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestClientSendsKeyAndPath(t *testing.T) {
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Training-key"); got != testKey {
			t.Errorf("key = %q", got)
		}
		if want := "/customvision/v3.3/training/projects/" + projectID.String(); r.URL.Path != want {
			t.Errorf("path = %s, want %s", r.URL.Path, want)
		}
		fmt.Fprintf(w, `{"id":%q,"name":"p","new":1}`, projectID)
	}, func(o *Options) { o.APIVersion = "v3.3" })
	p, err := client.Project(t.Context(), projectID)
	if err != nil || p.Name != "p" {
		t.Errorf("Project = %v, %v", p, err)
	}
}

func TestServiceErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		status   int
		body     string
		want     []string
		auth     bool
		requests int32
	}{
		"not trained": {400, `{"code":"BadRequestIterationIsNotTrained","message":"Not trained."}`,
			[]string{"reading iteration " + iterationID.String(), "the service answered 400 BadRequestIterationIsNotTrained: Not trained (request req-1)", "wait until"}, false, 1},
		"no iteration": {404, `{"code":"NotFoundIteration","message":"Invalid iteration"}`, []string{"404 NotFoundIteration", "keeps 20 iterations"}, false, 1},
		"no project":   {404, `{"code":"NotFoundProject","message":"x"}`, []string{"NotFoundProject", "check --project"}, false, 1},
		"wrong key":    {401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key."}}`, []string{"401 Unauthorized: Access denied", "VISION_TRAINING_KEY"}, true, 1},
		"number code":  {401, `{"statusCode":401,"code":401,"message":"Access denied"}`, []string{"401 Unauthorized: Access denied"}, true, 1},
		"firewall":     {403, `{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}`, []string{"under the resource's Networking"}, true, 1},
		"proxy":        {403, `<html>no</html>`, []string{"look for a proxy or firewall in between"}, true, 1},
		"forbidden":    {403, ``, []string{"403 Forbidden"}, true, 1},
		"quota":        {403, `{"error":{"code":"403","message":"Out of call volume quota."}}`, []string{"quota is used up"}, false, 1},
		"exceeded":     {400, `{"code":"BadRequestExceededQuota","message":"x"}`, []string{"quota is used up"}, false, 1},
		"v1":           {400, `{"Code":"BadRequest","Message":"old"}`, []string{"400 BadRequest: old"}, false, 1},
		"html":         {502, "<html>\n<h1>Bad\x00 Gateway</h1></html>", []string{"502 Bad Gateway: <html> <h1>Bad Gateway</h1></html>"}, false, 3},
		"unknown":      {500, `{"code":"ErrorUnknown","message":"Unknown"}`, []string{"500 ErrorUnknown", "try again later"}, false, 3},
		"redirect":     {302, ``, []string{"302 Found", "redirects are not followed"}, false, 1},
		"echoed key":   {400, `{"code":"BadRequest","message":"key ` + testKey + ` is odd"}`, []string{"key REDACTED is odd"}, false, 1},
		"long":         {400, strings.Repeat("x", 10000), []string{"xxx [...]"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("apim-request-id", "req-1")
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			})
			_, err := client.Iteration(t.Context(), projectID, iterationID)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), testKey) || len(err.Error()) > 1000 {
				t.Errorf("error %q tells the key or is too long", err)
			}
			if AuthRefused(err) != tc.auth {
				t.Errorf("AuthRefused = %v", AuthRefused(err))
			}
			if requests.Load() != tc.requests {
				t.Errorf("%d requests, want %d", requests.Load(), tc.requests)
			}
		})
	}
}

func TestBodiesThatAreNotJSON(t *testing.T) {
	for name, body := range map[string]string{"html": "<html>", "cut off": `[{"id":"`, "no id": `[{"name":"x"}]`, "bad id": `[{"id":"../.."}]`} {
		client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		if list, err := client.Iterations(t.Context(), projectID); err == nil || !strings.Contains(err.Error(), projectID.String()) {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

func TestThrottledAnswersHoldEveryoneBack(t *testing.T) {
	for name, answer := range map[string]func(http.ResponseWriter){
		"by header": func(w http.ResponseWriter) { w.Header().Set("Retry-After", "1"); w.WriteHeader(429) },
		"by text": func(w http.ResponseWriter) {
			w.WriteHeader(429)
			io.WriteString(w, `{"error":{"code":"429","message":"Requests have exceeded rate limit. Please retry after 1 second."}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := newPipeClient(t, func(w http.ResponseWriter, r *http.Request) {
					if requests++; requests == 1 {
						answer(w)
						return
					}
					io.WriteString(w, "[]")
				})
				started := time.Now()
				if _, err := client.Iterations(t.Context(), projectID); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(started); waited < time.Second || waited > 2*time.Second {
					t.Errorf("waited %s, the service asked for a second", waited)
				}
				if s := client.Stats(); s.Requests != 2 || s.Retries != 1 || s.Throttled != 1 || s.Waited != time.Second {
					t.Errorf("stats = %+v", s)
				}
			})
		})
	}
}

func TestSlowAnswersSayWhy(t *testing.T) {
	for name, tc := range map[string]struct {
		handler  http.HandlerFunc
		want     string
		waited   time.Duration
		requests int64
	}{
		"nothing": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no byte for 1m0s (--stall-timeout)", 3 * time.Minute, 3},
		"a byte now and then": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "[")
				http.NewResponseController(w).Flush()
				time.Sleep(50 * time.Second)
			}
		}, " bytes in 15m50s (tried 2 times", 32 * time.Minute, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client := newPipeClient(t, tc.handler)
				started := time.Now()
				if _, err := client.Iterations(t.Context(), projectID); err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error = %v", err)
				}
				if waited := time.Since(started).Round(time.Minute); waited != tc.waited {
					t.Errorf("waited %s, want %s", waited, tc.waited)
				}
				if requests := client.Stats().Requests; requests != tc.requests {
					t.Errorf("%d requests, want %d", requests, tc.requests)
				}
			})
		})
	}
}

func TestCancelStopsPromptly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := client.Iterations(ctx, projectID); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

func TestNewClientRefuses(t *testing.T) {
	good := Options{Endpoint: "westeurope", Key: testKey}
	for want, change := range map[string]func(*Options){
		"no training key":            func(o *Options) { o.Key = "" },
		"characters that no key has": func(o *Options) { o.Key = "a\nb" },
		"is not one of 3.2":          func(o *Options) { o.APIVersion = "../x" },
		"not above 0 requests":       func(o *Options) { o.Rate = -1 },
		"nor a region":               func(o *Options) { o.Endpoint = "nowhere" },
	} {
		opts := good
		change(&opts)
		if _, err := NewClient(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

// Every code that the API documents reaches the user as it came.
func TestEveryErrorCodeReachesTheUser(t *testing.T) {
	list, err := os.ReadFile("testdata/error_codes.txt")
	if err != nil {
		t.Fatal(err)
	}
	codes := strings.Fields(string(list))
	if len(codes) < 100 {
		t.Fatalf("%d codes", len(codes))
	}
	for _, code := range codes {
		client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("apim-request-id", "req-7")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":%q,"message":"what went wrong"}`, code)
		})
		_, err := client.Tags(t.Context(), projectID, iterationID)
		if want := "the service answered 400 " + code + ": what went wrong (request req-7)"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

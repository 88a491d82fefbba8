package extract

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cvexport/cvexport/internal/pipeserver"
	"github.com/cvexport/cvexport/patience"
)

// However a service says how long to wait, it is done, or the error says why not.
func TestRetryAfter(t *testing.T) {
	for name, tc := range map[string]struct {
		header, text string
		status       int
		wait         time.Duration // before the second try
		want         string        // in the error if each try fails
		requests     int           // until the error
	}{
		"seconds":      {"Retry-After", "3", 429, 3 * time.Second, "429 Too Many Requests", 3},
		"a fraction":   {"Retry-After", "1.5", 429, 1500 * time.Millisecond, "429 Too Many Requests", 3},
		"a date":       {"Retry-After", "+5s", 503, 5 * time.Second, "503 Service Unavailable", 3},
		"milliseconds": {"x-ms-retry-after-ms", "2500", 503, 2500 * time.Millisecond, "503 Service Unavailable", 3},
		"a day":        {"Retry-After", "86400", 429, 0, "it asks to wait 24h0m0s (tried once; --give-up-after is 15m0s): come back at 2000-01-02T", 1},
		"tomorrow":     {"Retry-After", "+24h", 429, 0, "it asks to wait 24h0m0s (tried once; --give-up-after is 15m0s): come back at 2000-01-02T", 1},
		"for ever":     {"Retry-After", strings.Repeat("9", 30), 503, 0, "it asks to wait 2562047h47m16.8", 1},
		"a word":       {"Retry-After", "soon", 429, time.Nanosecond, "(tried 3 times in 0s", 3},
		"negative":     {"Retry-After", "-5", 429, time.Nanosecond, "(tried 3 times in 0s", 3},
		"yesterday":    {"Retry-After", "-24h", 429, time.Nanosecond, "(tried 3 times in 0s", 3},
		"zero":         {"Retry-After", "0", 503, time.Nanosecond, "(tried 3 times in 0s", 3},
		"nothing":      {"", "", 503, time.Nanosecond, "503 Service Unavailable; the service is in trouble", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests, good := 0, false
				var second time.Time
				var log bytes.Buffer
				client, err := NewClient(Options{Key: testKey, Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond}, Log: slog.New(slog.NewTextHandler(&log, nil)),
					Endpoint: pipeserver.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if requests++; requests == 2 {
							second = time.Now()
							if good {
								io.WriteString(w, "[]")
								return
							}
						}
						text := tc.text
						if d, err := time.ParseDuration(text); err == nil && strings.ContainsAny(text, "hs") {
							text = time.Now().Add(d).UTC().Format(http.TimeFormat)
						}
						if tc.header != "" {
							w.Header().Set(tc.header, text)
						}
						w.WriteHeader(tc.status)
					}))})
				if err != nil {
					t.Fatal(err)
				}
				_, err = client.Iterations(t.Context(), projectID)
				if err == nil || !strings.Contains(err.Error(), tc.want) || requests != tc.requests {
					t.Errorf("%d requests, error %v; want %d, %s", requests, err, tc.requests, tc.want)
				}
				if told := strings.Contains(log.String(), " retry_after="); told != (tc.header != "") {
					t.Errorf("log %s", &log)
				}
				if tc.requests == 1 {
					return
				}
				requests, good = 0, true
				time.Sleep(time.Hour) // of the bubble's time, which takes none: until nobody waits
				started := time.Now()
				if _, err := client.Iterations(t.Context(), projectID); err != nil {
					t.Fatal(err)
				}
				const slack = 100 * time.Millisecond // rate limit, and a date's whole seconds
				if waited := second.Sub(started); waited < tc.wait-time.Second && tc.text == "+5s" || waited < tc.wait && tc.text != "+5s" || waited > tc.wait+slack {
					t.Errorf("waited %s, want %s", waited, tc.wait)
				}
			})
		})
	}
}

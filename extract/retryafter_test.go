package extract

import (
	"bytes"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cvexport/cvexport/internal/pipeserver"
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
		"seconds":      {"Retry-After", "3", 429, 3 * time.Second, `asked to wait "3" (3s), which was done`, 3},
		"a fraction":   {"Retry-After", "1.5", 429, 2 * time.Second, `asked to wait "1.5" (1.5s), which was done`, 3},
		"a date":       {"Retry-After", "+5s", 503, 5 * time.Second, `(5s), which was done`, 3},
		"milliseconds": {"x-ms-retry-after-ms", "2500", 503, 3 * time.Second, `asked to wait "2500" (2.5s), which was done`, 3},
		"a day":        {"Retry-After", "86400", 429, 0, `the service asked to wait "86400" (24h0m0s), longer than the limit of 2m0s, so it was not tried again: try again then, or raise --longest-wait`, 1},
		"tomorrow":     {"Retry-After", "+24h", 429, 0, `(24h0m0s), longer than the limit of 2m0s`, 1},
		"for ever":     {"Retry-After", strings.Repeat("9", 30), 503, 0, "longer than the limit of 2m0s", 1},
		"a word":       {"Retry-After", "soon", 429, time.Nanosecond, `asked to wait "soon", which cannot be read: the waits between the tries were the usual ones`, 3},
		"negative":     {"Retry-After", "-5", 429, time.Nanosecond, `asked to wait "-5", which cannot be read`, 3},
		"yesterday":    {"Retry-After", "-24h", 429, time.Nanosecond, `which is over: the waits`, 3},
		"zero":         {"Retry-After", "0", 503, time.Nanosecond, `asked to wait "0", which is over`, 3},
		"nothing":      {"", "", 503, time.Nanosecond, "503 Service Unavailable; the service is in trouble", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				requests, good := 0, false
				var second time.Time
				var log bytes.Buffer
				client, err := NewClient(Options{Key: testKey, Rate: 1e6, Retries: 2, RetryDelay: time.Nanosecond, Log: slog.New(slog.NewTextHandler(&log, nil)),
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
				if told := strings.Contains(log.String(), "a failed answer says when to try again"); told != (tc.header != "") {
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

// FuzzParseWait: a wait that is read is a number or a date, and never negative by overflow.
func FuzzParseWait(f *testing.F) {
	for _, seed := range []string{"1", "1.5", "86400", "99999999999999999999", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", "1e9", "0x10", ".5", "Inf", "NaN"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		wait, ok := parseWait(text, time.Second, time.Unix(0, 0))
		_, dateErr := http.ParseTime(text)
		digits := text != "" && strings.Trim(text, "0123456789.") == ""
		if ok && dateErr != nil && (!digits || wait < 0) || !ok && wait != 0 {
			t.Errorf("%q is read as %s, %v", text, wait, ok)
		}
		if wait > math.MaxInt64-1 && len(text) < 9 {
			t.Errorf("%q is read as %s", text, wait)
		}
	})
}

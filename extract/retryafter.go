package extract

import (
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
)

// waitHeaders are those in which a service of Azure says how long to wait, in the order in
// which they count, with the unit of their numbers.
var waitHeaders = []struct {
	name string
	unit time.Duration
}{{"Retry-After-Ms", time.Millisecond}, {"X-Ms-Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}}

// heed finds out how long a failed answer asks to wait, 0 if it does not say. The retry
// policy does what the answer's Retry-After says if that is a whole number of seconds; so it
// becomes one here, or is left out, and then the policy waits as long as usual. What is done
// is logged, and kept for the error if this was the last try.
func (t *throttle) heed(req *http.Request, resp *http.Response) time.Duration {
	text, wait, ok := askedWait(resp.Header)
	if text == "" && resp.StatusCode == http.StatusTooManyRequests {
		// "... have exceeded rate limit of your current ... tier. Please retry after 1 second."
		body, err := runtime.Payload(resp) // already read and buffered by the pipeline
		if found := retryText.FindSubmatch(body); err == nil && found != nil {
			text = string(found[1])
			wait, ok = parseWait(text, time.Second, time.Time{})
		}
	}
	for _, h := range waitHeaders {
		resp.Header.Del(h.name)
	}
	if text == "" {
		return 0
	}
	quoted := fmt.Sprintf("%.60q", text)
	level, done := slog.LevelInfo, ""
	switch {
	case !ok:
		level, done = slog.LevelWarn, fmt.Sprintf("the service asked to wait %s, which cannot be read: the waits between the tries were the usual ones", quoted)
	case wait <= 0:
		done = fmt.Sprintf("the service asked to wait %s, which is over: the waits between the tries were the usual ones", quoted)
	case wait > t.maxWait:
		level, done = slog.LevelWarn, fmt.Sprintf("the service asked to wait %s (%s), longer than the limit of %s, so it was not tried again: try again then, or raise --longest-wait", quoted, wait.Round(time.Millisecond), t.maxWait)
	default:
		done = fmt.Sprintf("the service asked to wait %s (%s), which was done before each further try", quoted, wait.Round(time.Millisecond))
	}
	if wait > 0 {
		seconds := min(math.Ceil(wait.Seconds()), math.MaxInt32) // more is too long for any limit
		resp.Header.Set("Retry-After", strconv.FormatFloat(seconds, 'f', -1, 64))
	}
	if c, ok := req.Context().Value(callKey{}).(*call); ok {
		c.asked = done
		t.log.LogAttrs(req.Context(), level, "a failed answer says when to try again", append(c.attrs[:len(c.attrs):len(c.attrs)], slog.String("retry_after", text[:min(len(text), 60)]), slog.String("done", done))...)
	}
	return max(wait, 0)
}

// askedWait returns the first header that says how long to wait, as it is written. ok is
// false if it cannot be read.
func askedWait(h http.Header) (text string, wait time.Duration, ok bool) {
	now := time.Now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date // the service's clock, against which it reckons
	}
	for _, header := range waitHeaders {
		if text := strings.TrimSpace(h.Get(header.name)); text != "" {
			wait, ok := parseWait(text, header.unit, now)
			return text, wait, ok
		}
	}
	return "", 0, false
}

// parseWait reads a number of units, also a fraction, or a date as HTTP writes it.
func parseWait(text string, unit time.Duration, now time.Time) (time.Duration, bool) {
	if number.MatchString(text) {
		n, err := strconv.ParseFloat(text, 64)
		const longest = float64(math.MaxInt64)
		if n *= float64(unit); err != nil || n >= longest {
			return math.MaxInt64, true
		}
		return time.Duration(n), true
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return at.Sub(now), true
}

var (
	number    = regexp.MustCompile(`^\d+(\.\d+)?$`)
	retryText = regexp.MustCompile(`(?i)retry after (\d{1,9}(?:\.\d{1,9})?) second`)
)

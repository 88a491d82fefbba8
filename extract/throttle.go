package extract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"golang.org/x/time/rate"
)

// throttle decides when a request is sent. It runs inside the retries, so that they
// count too, and a 429 to one worker delays all of them.
//
// A 429 also halves the rate of all workers. Successful answers raise it again, up to
// the limit that the user set.
type throttle struct {
	limiter *rate.Limiter
	allowed rate.Limit    // by the user
	timeout time.Duration // of one try including its body, but not the wait before it
	maxWait time.Duration // that the service may request
	log     *slog.Logger

	requests  atomic.Int64
	throttled atomic.Int64
	waited    atomic.Int64 // nanoseconds, because of 429 answers

	mu    sync.Mutex
	until time.Time // nothing is sent before
	cut   time.Time // when the rate was last halved
}

// How the rate adapts.
const (
	burst      = time.Second // the 429 answers within this time halve the rate once
	maxCut     = 16          // the rate never falls below this fraction of the allowed rate
	climbSteps = 40          // successful answers until the allowed rate is reached from zero
)

var _ policy.Policy = (*throttle)(nil)

// Do waits for its turn and sends the request. It slows all workers down after a 429.
func (t *throttle) Do(req *policy.Request) (*http.Response, error) {
	ctx := req.Raw().Context()
	if err := t.wait(ctx); err != nil {
		return nil, err
	}
	t.requests.Add(1)
	ctx, cancel := context.WithTimeoutCause(ctx, t.timeout, fmt.Errorf("no whole answer within %s", t.timeout))
	defer cancel()
	resp, err := req.Clone(ctx).Next()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) && req.Raw().Context().Err() == nil {
			err = context.Cause(ctx)
		}
		return resp, err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		t.throttled.Add(1)
		t.slowDown(time.Now())
		if asked := t.heed(req.Raw(), resp); asked > 0 && asked <= t.maxWait { // else the retry policy gives up
			t.pause(asked)
		}
	} else if resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusRequestTimeout {
		t.heed(req.Raw(), resp)
	} else if resp.StatusCode < http.StatusBadRequest {
		t.speedUp()
	}
	return resp, nil
}

func (t *throttle) slowDown(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.cut) < burst {
		return
	}
	t.cut = now
	t.limiter.SetLimitAt(now, max(t.limiter.Limit()/2, t.allowed/maxCut))
}

func (t *throttle) speedUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if limit := t.limiter.Limit(); limit < t.allowed {
		t.limiter.SetLimit(min(limit+t.allowed/climbSteps, t.allowed))
	}
}

func (t *throttle) wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		pause := time.Until(t.until)
		t.mu.Unlock()
		if pause <= 0 {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return t.limiter.Wait(ctx)
}

// pause delays all workers.
func (t *throttle) pause(requested time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	until := now.Add(requested)
	if until.After(t.until) {
		if t.until.After(now) {
			now = t.until
		}
		t.waited.Add(int64(until.Sub(now)))
		t.until = until
	}
}

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

package extract

import (
	"context"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"golang.org/x/time/rate"

	"github.com/cvexport/cvexport/patience"
)

// throttle decides when a request is sent. It runs inside the retries, so that they
// count too, and a 429 to one worker delays all of them.
//
// A 429 also halves the rate of all workers. Successful answers raise it again, up to
// the limit that the user set.
type throttle struct {
	limiter *rate.Limiter
	allowed rate.Limit    // by the user
	longest time.Duration // that the service may ask all workers to wait

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
	resp, err := req.Next()
	switch {
	case err != nil:
		return resp, err
	case resp.StatusCode == http.StatusTooManyRequests:
		t.throttled.Add(1)
		t.slowDown(time.Now())
		if wait := asked(resp); wait <= t.longest {
			t.pause(wait)
		} // else the request fails
	case resp.StatusCode < http.StatusBadRequest:
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
	if t.limiter.Wait(ctx) != nil { // also if the turn would come after the context's deadline
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
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

// asked returns how long a failed answer asks to wait, 0 if it does not say.
func asked(resp *http.Response) time.Duration {
	wait, text := patience.After(resp.Header)
	if text == "" && resp.StatusCode == http.StatusTooManyRequests {
		// "... have exceeded rate limit of your current ... tier. Please retry after 1 second."
		body, err := runtime.Payload(resp) // already read and buffered by the pipeline
		if found := retryText.FindSubmatch(body); err == nil && found != nil {
			wait = patience.ParseAfter(string(found[1]), time.Second, time.Time{})
		}
	}
	return wait
}

var retryText = regexp.MustCompile(`(?i)retry after (\d{1,9}(?:\.\d{1,9})?) second`)

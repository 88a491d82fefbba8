package extract

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
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

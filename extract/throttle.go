package extract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"golang.org/x/time/rate"
)

// throttle is the one place that decides when a request may leave. It sits
// inside the retries, so that those count too, and a 429 to one worker holds
// all of them back.
//
// It adapts: a 429 halves the rate of all workers, and answers that are well let
// it climb back, to what the user allowed and no further.
type throttle struct {
	limiter *rate.Limiter
	allowed rate.Limit    // by the user
	timeout time.Duration // of one try, its body included; waiting for a turn does not count
	longest time.Duration // the longest wait the service may ask for

	requests  atomic.Int64
	throttled atomic.Int64
	waited    atomic.Int64 // nanoseconds that 429 answers made all workers wait

	mu    sync.Mutex
	until time.Time // nothing leaves before
	cut   time.Time // when the rate was last halved
}

// How the rate adapts.
const (
	cutApart = time.Second // 429 answers closer than this are of one burst, and halve the rate once
	leastCut = 16          // the rate never falls below this part of what is allowed
	climb    = 40          // so many good answers bring it back from nothing
)

var _ policy.Policy = (*throttle)(nil)

// Do waits for its turn, sends, and makes a 429 everyone's business.
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
		t.pause(resp)
	} else if resp.StatusCode < http.StatusBadRequest {
		t.speedUp()
	}
	return resp, nil
}

func (t *throttle) slowDown(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.cut) < cutApart {
		return
	}
	t.cut = now
	t.limiter.SetLimitAt(now, max(t.limiter.Limit()/2, t.allowed/leastCut))
}

func (t *throttle) speedUp() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if limit := t.limiter.Limit(); limit < t.allowed {
		t.limiter.SetLimit(min(limit+t.allowed/climb, t.allowed))
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
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	return t.limiter.Wait(ctx)
}

// pause holds everyone back for as long as a 429 asks: by its header, else by
// its text. The retry policy reads only headers, so the text's seconds are
// written into one for it; without either, it backs off by itself.
func (t *throttle) pause(resp *http.Response) {
	asked := headerSeconds(resp.Header.Get("Retry-After"))
	if asked <= 0 {
		body, err := runtime.Payload(resp) // already read and buffered by the pipeline
		if err != nil {
			return
		}
		if asked = textSeconds(body); asked <= 0 {
			return
		}
		resp.Header.Set("Retry-After", strconv.Itoa(int(asked/time.Second)))
	}
	if asked > t.longest {
		return // the retry policy gives up on it
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	until := now.Add(asked)
	if until.After(t.until) {
		if t.until.After(now) {
			now = t.until
		}
		t.waited.Add(int64(until.Sub(now)))
		t.until = until
	}
}

func headerSeconds(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil && n < 1<<31 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(s); err == nil {
		return time.Until(at)
	}
	return 0
}

// "... have exceeded rate limit of your current ... tier. Please retry after 1 second."
var retryText = regexp.MustCompile(`(?i)retry after (\d{1,9}) second`)

func textSeconds(body []byte) time.Duration {
	m := retryText.FindSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.Atoi(string(m[1]))
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

package extract

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// A burst of 429 halves the rate once; good answers bring it back, never above
// what is allowed.
func TestRateAdapts(t *testing.T) {
	limit := throttle{limiter: rate.NewLimiter(8, 1), allowed: 8}
	now := time.Now()
	for _, step := range []struct {
		after time.Duration
		want  rate.Limit
	}{{0, 4}, {100 * time.Millisecond, 4}, {900 * time.Millisecond, 2}, {time.Second, 1}, {time.Second, 0.5}, {time.Hour, 0.5}} {
		now = now.Add(step.after)
		limit.slowDown(now)
		if got := limit.limiter.Limit(); got != step.want {
			t.Errorf("%s later: %v requests a second, want %v", step.after, got, step.want)
		}
	}
	for before := limit.limiter.Limit(); before < 8; before = limit.limiter.Limit() {
		if limit.speedUp(); limit.limiter.Limit() <= before || limit.limiter.Limit() > 8 {
			t.Fatalf("from %v to %v requests a second", before, limit.limiter.Limit())
		}
	}
	if limit.speedUp(); limit.limiter.Limit() != 8 {
		t.Errorf("%v requests a second, 8 are allowed", limit.limiter.Limit())
	}
}

// The client adapts: one refusal, and it is slower until answers are good again.
func TestClientAdapts(t *testing.T) {
	var requests atomic.Int32
	client := newTestClient(t, func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		io.WriteString(w, "[]")
	})
	allowed := client.throttle.limiter.Limit()
	if _, err := client.Iterations(t.Context(), projectID); err != nil {
		t.Fatal(err)
	}
	if got, want := client.throttle.limiter.Limit(), allowed/2+allowed/climbSteps; got != want {
		t.Errorf("%v requests a second after a refusal and a good answer, want %v", got, want)
	}
	for range climbSteps {
		if _, err := client.Iterations(t.Context(), projectID); err != nil {
			t.Fatal(err)
		}
	}
	if got := client.throttle.limiter.Limit(); got != allowed {
		t.Errorf("%v requests a second in the end, want %v", got, allowed)
	}
}

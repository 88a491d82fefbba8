package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// waitFor polls without a limit: the test's own timeout says where it hangs.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	t.Logf("waiting for %s", what)
	for !done() {
		select {
		case <-t.Context().Done():
			return
		case <-time.After(time.Millisecond): // leaves the processor to what is waited for
		}
	}
}

func TestWait(t *testing.T) {
	for name, tc := range map[string]struct {
		iteration int // its place; -1 for latest
		end       string
		detail    string
		timeout   time.Duration
		want      string // in the error
	}{
		"completes":              {iteration: 1, end: simulated.Completed},
		"latest completes":       {iteration: -1, end: simulated.Completed},
		"completed before":       {iteration: 0},
		"fails":                  {iteration: 1, end: simulated.Failed, detail: "Not enough images", want: "failed: Not enough images"},
		"fails without a reason": {iteration: -1, end: simulated.Failed, want: "the service gives no reason"},
		"takes too long":         {iteration: 1, timeout: 50 * time.Millisecond, want: "wait longer with --wait-timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, simulated.Config{Training: 1, Images: 5})
			project := b.service.Projects()[0]
			iteration := Latest
			if tc.iteration >= 0 {
				iteration = project.Iterations[tc.iteration].ID.String()
			}
			if tc.timeout == 0 {
				tc.timeout = time.Hour
			}
			done := make(chan error, 1)
			var id schema.ID
			go func() {
				var err error
				id, err = Wait(t.Context(), b.client, project.ID, iteration, WaitOptions{Interval: time.Millisecond, Timeout: tc.timeout})
				done <- err
			}()
			if tc.end != "" {
				waitFor(t, "it to look twice", func() bool { return len(b.service.Requests()) > 3 })
				b.service.End(0, 1, tc.end, tc.detail)
			}
			err := <-done
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), project.ID.String()) {
					t.Errorf("error %v, want %s", err, tc.want)
				}
				return
			}
			if want := project.Iterations[max(0, -tc.iteration, tc.iteration)].ID; err != nil || id != want {
				t.Errorf("%s, %v; want %s", id, err, want)
			}
		})
	}
}

// An outage while it waits is waited through; a missing iteration is not.
func TestWaitThroughAnOutage(t *testing.T) {
	b := newBench(t, simulated.Config{Training: 1})
	project := b.service.Projects()[0]
	iteration := project.Iterations[1].ID
	b.service.Outage(6)
	done := make(chan error, 1)
	go func() {
		_, err := Wait(t.Context(), b.client, project.ID, iteration.String(), WaitOptions{Interval: time.Millisecond, Timeout: time.Hour})
		done <- err
	}()
	waitFor(t, "the outage to end", func() bool { return len(b.service.Requests()) > 7 })
	b.service.End(0, 1, simulated.Completed, "")
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, err := Wait(t.Context(), b.client, project.ID, project.ID.String(), WaitOptions{Interval: time.Millisecond, Timeout: time.Hour})
	if answer := new(extract.ServiceError); !errors.As(err, &answer) || answer.Code != "NotFoundIteration" {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Wait(ctx, b.client, project.ID, iteration.String(), WaitOptions{Interval: time.Hour, Timeout: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

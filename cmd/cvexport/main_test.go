package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
)

func TestExitCode(t *testing.T) {
	wrong, refused := errors.New("wrong"), &extract.ServiceError{Status: 401}
	partial := func(err error) error {
		r := runreport.Run{Resources: []jobs.ResourceResult{{Err: err}, {Projects: []jobs.ProjectResult{{Iterations: []jobs.IterationResult{{Outcome: jobs.Present}}}}}}}
		return r.Failure()
	}
	for _, tc := range []struct {
		err  error
		want int
	}{
		{nil, exitDone},
		{wrong, exitFailed},
		{usage("warehouse: %w", wrong), exitUsage},
		{errors.Join(wrong, usage("wrong")), exitUsage},
		{fmt.Errorf("listing: %w", refused), exitAuth},
		{fmt.Errorf("warehouse s3://bucket: %w", store.ErrUnsafe), exitUsage},
		{usage("warehouse: %w", store.ErrLogin), exitFailed},
		{usage("queue: %w", azurelogin.ErrLogin), exitFailed},
		{partial(usage("wrong")), exitPartial},
		{partial(store.ErrLogin), exitPartial},
		{partial(refused), exitPartial},
	} {
		if got := exitCode(t.Context(), tc.err); got != tc.want {
			t.Errorf("%v: exit code %d, want %d", tc.err, got, tc.want)
		}
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if got := exitCode(interrupted, context.Canceled); got != exitInterrupted {
		t.Errorf("interrupted: exit code %d, want %d", got, exitInterrupted)
	}
}

package runreport

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// A run has the latest result of each iteration, and each project's part of the requests.
func TestAdd(t *testing.T) {
	a, b := schema.ID{15: 0xa}, schema.ID{15: 0xb}
	name := "project a"
	result := &jobs.Result{}
	result.Export.ProjectName = &name
	var r Run
	r.Begin("resource", "host")
	for _, step := range []struct {
		project   schema.ID
		iteration byte
		outcome   jobs.Outcome
		result    *jobs.Result
		requests  int64 // so far
	}{
		{a, 1, jobs.Failed, nil, 2},
		{a, 1, jobs.Exported, result, 10},
		{b, 2, jobs.Present, nil, 13},
		{a, 1, jobs.Present, nil, 14},
		{a, 3, jobs.Exported, result, 20},
		{a, 3, jobs.Failed, nil, 21},
	} {
		it := jobs.IterationResult{ID: schema.ID{15: step.iteration}, Outcome: step.outcome, Result: step.result}
		r.Add(jobs.ProjectResult{ID: step.project, Iterations: []jobs.IterationResult{it}}, extract.Stats{Requests: step.requests})
	}
	want := []jobs.ProjectResult{
		{ID: a, Name: name, Stats: extract.Stats{Requests: 18}, Iterations: []jobs.IterationResult{
			{ID: schema.ID{15: 1}, Outcome: jobs.Exported, Result: result}, {ID: schema.ID{15: 3}, Outcome: jobs.Failed},
		}},
		{ID: b, Stats: extract.Stats{Requests: 3}, Iterations: []jobs.IterationResult{{ID: schema.ID{15: 2}, Outcome: jobs.Present}}},
	}
	n := r.Resources[0]
	if n.Wanted != 2 || n.Stats.Requests != 21 {
		t.Errorf("%d projects, %d requests, want 2 and 21", n.Wanted, n.Stats.Requests)
	}
	if diff := cmp.Diff(want, n.Projects); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFailure(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	exported := jobs.IterationResult{Outcome: jobs.Exported}
	failed := func(err error) jobs.IterationResult {
		return jobs.IterationResult{Outcome: jobs.Failed, Err: err}
	}
	for name, tc := range map[string]struct {
		iterations []jobs.IterationResult
		resource   error
		want       string
		partial    bool
	}{
		"nothing":             {nil, nil, "", false},
		"all done":            {[]jobs.IterationResult{exported, exported}, nil, "", false},
		"only failure":        {[]jobs.IterationResult{failed(first)}, nil, "first", false},
		"failures":            {[]jobs.IterationResult{failed(first), failed(second)}, nil, "2 failures, listed in the summary; the first: first", false},
		"partial":             {[]jobs.IterationResult{exported, failed(first)}, nil, "1 failure, listed in the summary; the first: first", true},
		"same as of resource": {[]jobs.IterationResult{failed(first)}, first, "first", false},
	} {
		r := Run{Resources: []jobs.ResourceResult{{Err: tc.resource, Projects: []jobs.ProjectResult{{Iterations: tc.iterations}}}}}
		err := r.Failure()
		var partial *PartialError
		if errorText(err) != tc.want || errors.As(err, &partial) != tc.partial {
			t.Errorf("%s: %v, want %s, partial %v", name, err, tc.want, tc.partial)
		}
	}
}

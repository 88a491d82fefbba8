package runreport

import (
	"errors"
	"io/fs"
	"strings"
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
	first, second, lines := errors.New("first"), errors.New("second"), errors.New("one\ntwo")
	const mend = "what to do: mend what the message names, then run it again: what is exported is not read again; --verbose logs every request"
	exported := jobs.IterationResult{Outcome: jobs.Exported}
	failed := func(err error) jobs.IterationResult {
		return jobs.IterationResult{Name: "Iteration 1", Outcome: jobs.Failed, Err: err}
	}
	for name, tc := range map[string]struct {
		iterations []jobs.IterationResult
		resource   error
		want       string
		partial    bool
	}{
		"nothing":             {nil, nil, "", false},
		"all done":            {[]jobs.IterationResult{exported, exported}, nil, "", false},
		"only failure":        {[]jobs.IterationResult{failed(first)}, nil, "failed: 1 of 1 iteration: Iteration 1 of project shop\nwhy: first\n" + mend, false},
		"failures":            {[]jobs.IterationResult{failed(first), failed(second)}, nil, "failed: 2 of 2 iterations, the first: Iteration 1 of project shop\nwhy: first; and 1 other reason, in the summary\n" + mend, false},
		"one cause":           {[]jobs.IterationResult{failed(first), exported, failed(first), failed(second)}, nil, "failed: 3 of 4 iterations, the first: Iteration 1 of project shop\nwhy: first (2 times); and 1 other reason, in the summary\n" + mend, true},
		"partial":             {[]jobs.IterationResult{exported, failed(lines)}, nil, "failed: 1 of 2 iterations: Iteration 1 of project shop\nwhy: one; two\n" + mend, true},
		"same as of resource": {[]jobs.IterationResult{failed(first)}, first, "failed: resource west\nwhy: first\n" + mend, false},
		"no right":            {[]jobs.IterationResult{failed(fs.ErrPermission)}, nil, "failed: 1 of 1 iteration: Iteration 1 of project shop\nwhy: permission denied\nwhat to do: let this user write there, or choose another folder, then run it again: what is exported is not read again", false},
	} {
		r := Run{Resources: []jobs.ResourceResult{{Name: "west", Err: tc.resource, Projects: []jobs.ProjectResult{{Name: "shop", Iterations: tc.iterations}}}}}
		err := r.Failure()
		var partial *PartialError
		if errorText(err) != tc.want || errors.As(err, &partial) != tc.partial {
			t.Errorf("%s: %v, want %s, partial %v", name, err, tc.want, tc.partial)
		}
	}
}

// A summary tells each cause once, and says of the others whom they are like.
func TestSummaryTellsOnce(t *testing.T) {
	failed := func(name, text string) jobs.IterationResult {
		return jobs.IterationResult{ID: schema.ID{15: name[len(name)-1]}, Name: name, Outcome: jobs.Failed, Err: errors.New(text)}
	}
	r := Run{Resources: []jobs.ResourceResult{{Name: "west", Projects: []jobs.ProjectResult{
		{Name: "shop", Iterations: []jobs.IterationResult{failed("a 1", "iteration 1: no answer"), failed("a 2", "iteration 2: no answer"), failed("a 3", "other")}},
		{Name: "lab", Iterations: []jobs.IterationResult{failed("b 4", "iteration 4: no answer")}},
	}}}}
	var b strings.Builder
	if err := r.PrintSummary(&b); err != nil {
		t.Fatal(err)
	}
	for text, count := range map[string]int{
		"no answer": 1, "other\n": 1,
		"    failed    a 1 (00000000-0000-0000-0000-000000000031), and 2 others for the same reason: iteration 1: no answer\n": 1,
		": like a 1 (00000000-0000-0000-0000-000000000031)\n":                                                                  2,
	} {
		if n := strings.Count(b.String(), text); n != count {
			t.Errorf("%d times %q, want %d:\n%s", n, text, count, &b)
		}
	}
}

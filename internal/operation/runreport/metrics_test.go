package runreport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// Jobs that write one file at the same time lose no values, even if their runs were
// interrupted.
func TestMetricsOfSeveralJobs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cvexport.prom")
	const jobsAtOnce, runs = 8, 5
	var wait sync.WaitGroup
	write := func(ctx context.Context, job, run int) {
		night := jobs.ResourceResult{Name: fmt.Sprintf("job%d-%d", job, run)}
		r := Run{Command: "nightly", MetricsFile: file, Resources: []jobs.ResourceResult{night}}
		if err := r.Write(ctx, 0, nil); err != nil {
			t.Error(err)
		}
	}
	for job := range jobsAtOnce - 1 {
		wait.Go(func() {
			for run := range runs {
				write(t.Context(), job, run)
			}
		})
	}
	wait.Wait()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for run := range runs { // which wait for others no longer than a second
		write(interrupted, jobsAtOnce-1, run)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for job := range jobsAtOnce {
		for run := range runs {
			if want := fmt.Sprintf(`cvexport_failures{command="nightly",project="",resource="job%d-%d",shard=""} 0`, job, run); !strings.Contains(string(body), want) {
				t.Errorf("it lost %s", want)
			}
		}
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if prom := filepath.Ext(entry.Name()) == ".prom"; prom != (entry.Name() == "cvexport.prom") {
			t.Errorf("node_exporter would read %s", entry.Name())
		}
	}
}

// The failures of a command remain until that command succeeds.
func TestMetricsKeepFailures(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cvexport.prom")
	a, b := schema.ID{15: 0xa}, schema.ID{15: 0xb}
	result := &jobs.Result{Pages: 3}
	result.Export.Rows = map[string]int64{"images": 7}
	result.Export.Objects = []load.ObjectRecord{{Rows: 7, Bytes: 100}, {Rows: 70, Bytes: 1000}}
	exported := jobs.IterationResult{Outcome: jobs.Exported, Result: result}
	failed := jobs.IterationResult{Outcome: jobs.Failed, Err: errors.New("no")}
	at := time.Unix(1000, 0)
	night := func(all bool, projects ...jobs.ProjectResult) jobs.ResourceResult {
		at = at.Add(time.Second)
		return jobs.ResourceResult{Name: "r", All: all, Projects: projects, Finished: at}
	}
	stats := extract.Stats{Requests: 9, Retries: 2, Throttled: 1, Waited: 1500 * time.Millisecond}
	project := func(id schema.ID, its ...jobs.IterationResult) jobs.ProjectResult {
		return jobs.ProjectResult{ID: id, Iterations: its, Stats: stats, Listed: 18}
	}
	for _, step := range []struct {
		command, shard string
		night          jobs.ResourceResult
		want, not      []string // lines; A and B are the projects, N the command and shard of nightly's
	}{
		{"nightly", "", night(true, project(a, exported, failed), project(b, exported, exported)), []string{
			`failures{N,A} 1`, `failures{N,B} 0`, `failures{N,} 0`,
			`last_success_timestamp_seconds{N,A} 0`, `last_success_timestamp_seconds{N,B} 1001`, `last_success_timestamp_seconds{N,} 0`,
			`last_run_timestamp_seconds{N,A} 1001`, `images{N,B} 14`, `rows{N,B} 154`, `bytes{N,B} 2200`, `pages{N,B} 6`, `exported_iterations{N,B} 2`,
			`requests{N,B} 9`, `retries{N,B} 2`, `throttled_seconds{N,B} 1.5`, `almost_full{N,B} 1`,
			`listed_iterations{N,A} 18`, `completed_iterations{N,A} 2`, `missing_iterations{N,A} 1`, `completed_iterations{N,B} 2`, `missing_iterations{N,B} 0`,
		}, nil},
		{"export", "", night(false, project(a, exported)), []string{
			`failures{N,A} 1`, `last_success_timestamp_seconds{N,A} 0`, `failures{export,A} 0`, `last_success_timestamp_seconds{export,A} 1002`, `images{N,B} 14`, `missing_iterations{N,A} 1`,
		}, []string{`listed_iterations{export`, `missing_iterations{export`}},
		// What a night could not read it says nothing about.
		{"nightly", "", night(false, jobs.ProjectResult{ID: a, Err: errors.New("no")}), []string{`failures{N,A} 1`, `missing_iterations{N,A} 1`, `listed_iterations{N,A} 18`}, nil},
		{"nightly", "1/2", night(true, project(a, exported)), []string{`failures{N,A} 1`, `failures{1/2,A} 0`, `last_success_timestamp_seconds{1/2,} 1004`}, nil},
		{"nightly", "", night(false, project(a, exported)), []string{
			`failures{N,A} 0`, `last_success_timestamp_seconds{N,A} 1005`, `last_success_timestamp_seconds{N,B} 1001`, `last_success_timestamp_seconds{N,} 1005`,
		}, nil},
		// A project that is missing from a listing of all projects is dropped.
		{"nightly", "", night(true, project(a, exported)), []string{`failures{N,A} 0`, `failures{export,A} 0`, `failures{1/2,A} 0`}, []string{`failures{N,B}`}},
		{"nightly", "", jobs.ResourceResult{Name: "r", All: true, Err: errors.New("no"), Finished: at.Add(time.Second)}, []string{
			`failures{N,} 1`, `failures{N,A} 0`, `last_success_timestamp_seconds{N,} 1006`, `last_run_timestamp_seconds{N,} 1007`,
		}, nil},
	} {
		r := Run{Command: step.command, Shard: step.shard, MetricsFile: file, Resources: []jobs.ResourceResult{step.night}}
		if err := r.Write(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		short := string(body)
		for _, project := range []struct {
			id   string
			name string
		}{{a.String(), "A"}, {b.String(), "B"}, {"", ""}} {
			for labels, name := range map[[2]string]string{{"nightly", ""}: "N", {"export", ""}: "export", {"nightly", "1/2"}: "1/2"} {
				long := fmt.Sprintf(`{command=%q,project=%q,resource="r",shard=%q}`, labels[0], project.id, labels[1])
				short = strings.ReplaceAll(short, long, "{"+name+","+project.name+"}")
			}
		}
		for _, want := range step.want {
			if !strings.Contains(short, "\ncvexport_"+want+"\n") {
				t.Errorf("after %s %s: no %s in\n%s", step.command, step.shard, want, short)
			}
		}
		for _, not := range step.not {
			if strings.Contains(short, not) {
				t.Errorf("after %s %s: has %s", step.command, step.shard, not)
			}
		}
	}
}

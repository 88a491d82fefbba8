package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// record is what a run did, for the summary, the report and the metrics, which so
// cannot disagree.
type record struct {
	command  string
	shard    string // empty: all of it
	reportTo string
	metrics  string
	started  time.Time
	nights   []jobs.ResourceResult
}

func newRecord(command string, c *common) *record {
	return &record{command: command, reportTo: c.report, metrics: c.metrics, started: time.Now().UTC()}
}

func (r *record) add(nights ...jobs.ResourceResult) { r.nights = append(r.nights, nights...) }

// write writes the report and the metrics, where they were asked for. failed is
// how the run ended.
func (r *record) write(ctx context.Context, failed error) error {
	var errs []error
	if r.reportTo != "" {
		if err := writeWhole(r.reportTo, r.report(ctx, failed)); err != nil {
			errs = append(errs, fmt.Errorf("writing the report: %w", err))
		}
	}
	if r.metrics != "" {
		if err := writeMetrics(ctx, r.metrics, r.command, r.shard, r.nights); err != nil {
			errs = append(errs, fmt.Errorf("writing the metrics: %w", err))
		}
	}
	return errors.Join(errs...)
}

// report is a run for programs.
type report struct {
	Command   string           `json:"command"`
	Shard     string           `json:"shard,omitempty"`
	Version   string           `json:"version"`
	Started   time.Time        `json:"started_at"`
	Finished  time.Time        `json:"finished_at"`
	ExitCode  int              `json:"exit_code"`
	Error     string           `json:"error,omitempty"`
	Resources []reportResource `json:"resources"`
}

type reportResource struct {
	Name       string          `json:"name"`
	Host       string          `json:"host"`
	Error      string          `json:"error,omitempty"`
	Requests   int64           `json:"requests"`
	Retries    int64           `json:"retries"`
	Throttled  int64           `json:"throttled"`
	WaitedSecs float64         `json:"throttled_seconds"`
	Seconds    float64         `json:"seconds"`
	Projects   []reportProject `json:"projects"`
}

type reportProject struct {
	ID         schema.ID         `json:"project_id"`
	Name       string            `json:"project_name"`
	Error      string            `json:"error,omitempty"`
	AlmostFull bool              `json:"almost_full"` // its oldest iteration is about to be deleted by someone
	Iterations []reportIteration `json:"iterations"`
}

type reportIteration struct {
	ID       schema.ID        `json:"iteration_id"`
	Name     string           `json:"iteration_name"`
	Status   string           `json:"status"`
	Outcome  jobs.Outcome     `json:"outcome"`
	Error    string           `json:"error,omitempty"`
	ExportID *schema.ID       `json:"export_id,omitempty"`
	Rows     map[string]int64 `json:"rows,omitempty"`
	Bytes    int64            `json:"bytes,omitempty"`
	Pages    int              `json:"pages,omitempty"`
	Attempts int              `json:"attempts,omitempty"`
	Unknown  map[string]int   `json:"unknown_fields,omitempty"`
	Seconds  float64          `json:"seconds,omitempty"`
}

func (r *record) report(ctx context.Context, failed error) report {
	out := report{
		Command: r.command, Shard: r.shard, Version: programVersion(), Started: r.started, Finished: time.Now().UTC(),
		ExitCode: exitCode(ctx, failed), Error: errorText(failed), Resources: []reportResource{},
	}
	for _, n := range r.nights {
		resource := reportResource{
			Name: n.Name, Host: n.Host, Error: errorText(n.Err),
			Requests: n.Stats.Requests, Retries: n.Stats.Retries, Throttled: n.Stats.Throttled, WaitedSecs: n.Stats.Waited.Seconds(),
			Seconds: n.Finished.Sub(n.Started).Seconds(), Projects: []reportProject{},
		}
		for _, p := range n.Projects {
			project := reportProject{ID: p.ID, Name: p.Name, Error: errorText(p.Err), AlmostFull: p.Listed >= jobs.AlmostFull, Iterations: []reportIteration{}}
			for _, it := range p.Iterations {
				project.Iterations = append(project.Iterations, newReportIteration(it))
			}
			resource.Projects = append(resource.Projects, project)
		}
		out.Resources = append(out.Resources, resource)
	}
	return out
}

func newReportIteration(it jobs.IterationResult) reportIteration {
	out := reportIteration{ID: it.ID, Name: it.Name, Status: it.Status, Outcome: it.Outcome, Error: errorText(it.Err)}
	if r := it.Result; r != nil {
		out.ExportID, out.Rows = &r.Export.ExportID, map[string]int64{}
		for _, o := range r.Export.Objects {
			out.Rows[o.Table] = o.Rows
			out.Bytes += o.Bytes
		}
		out.Pages, out.Attempts, out.Unknown, out.Seconds = r.Pages, r.Attempts, r.Unknown, r.Elapsed.Seconds()
	}
	return out
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// writeWhole writes a JSON file in one step: who reads it meets the old or the new.
func writeWhole(name string, v any) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	e := json.NewEncoder(f)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	const readable = 0o644
	err = errors.Join(e.Encode(v), f.Chmod(readable), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// night is one export as the night of a resource that only had this to do.
func oneNight(r resource, p jobs.ProjectResult, it jobs.IterationResult, started time.Time) jobs.ResourceResult {
	p.Iterations = []jobs.IterationResult{it}
	return jobs.ResourceResult{Name: r.name, Projects: []jobs.ProjectResult{p}, Wanted: 1, Stats: p.Stats, Started: started, Finished: time.Now().UTC()}
}

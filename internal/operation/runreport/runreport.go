// Package runreport says what a run did: in a summary for people, a report for
// programs, and a file of Prometheus metrics. All three come from one Run.
package runreport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// Run is what a run of a command did.
type Run struct {
	Command     string
	Version     string // of the program
	Shard       string // empty if the work is not shared
	ReportFile  string // empty for none
	MetricsFile string // empty for none; its name ends in .prom
	Started     time.Time
	Resources   []jobs.ResourceResult
}

// PartialError reports that something failed and something else succeeded. It hides
// the kind of the error it has.
type PartialError struct{ error }

// Failure sums up what went wrong. It returns nil if nothing did, and a
// [*PartialError] if only a part failed.
func (r *Run) Failure() error {
	failed, done := 0, 0
	var first error
	refused := true
	fail := func(err error) {
		failed++
		refused = refused && extract.AuthRefused(err)
		if first == nil {
			first = err
		}
	}
	for _, n := range r.Resources {
		if n.Err != nil {
			fail(n.Err)
		}
		for _, p := range n.Projects {
			if p.Err != nil && !errors.Is(n.Err, p.Err) {
				fail(p.Err)
			}
			for _, it := range p.Iterations {
				switch it.Outcome {
				case jobs.Failed:
					if !errors.Is(n.Err, it.Err) {
						fail(it.Err)
					}
				case jobs.Exported, jobs.Present, jobs.Elsewhere, jobs.Kept, jobs.OtherShard:
					done++
				}
			}
		}
	}
	switch {
	case failed == 0:
		return nil
	case done == 0 && (failed == 1 || refused):
		return first
	}
	err := fmt.Errorf("%s, listed in the summary; the first: %w", Count(int64(failed), "failure"), first)
	if done > 0 {
		return &PartialError{err}
	}
	return err
}

// Write writes the report and the metrics to their files. failed is how the run
// ended; exitCode is what the program makes of it.
func (r *Run) Write(ctx context.Context, exitCode int, failed error) error {
	var errs []error
	if r.ReportFile != "" {
		if err := replaceFile(r.ReportFile, r.report(exitCode, failed)); err != nil {
			errs = append(errs, fmt.Errorf("writing the report: %w", err))
		}
	}
	if r.MetricsFile != "" {
		if err := r.writeMetrics(ctx); err != nil {
			errs = append(errs, fmt.Errorf("writing the metrics: %w", err))
		}
	}
	return errors.Join(errs...)
}

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
	AlmostFull bool              `json:"almost_full"` // its oldest iteration will soon have to be deleted
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

func (r *Run) report(exitCode int, failed error) report {
	out := report{
		Command: r.Command, Shard: r.Shard, Version: r.Version, Started: r.Started, Finished: time.Now().UTC(),
		ExitCode: exitCode, Error: errorText(failed), Resources: []reportResource{},
	}
	for _, n := range r.Resources {
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

// WriteJSON writes a value as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// replaceFile writes a JSON file atomically: a reader sees the old or the new one.
func replaceFile(name string, v any) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	const readable = 0o644
	err = errors.Join(WriteJSON(f, v), f.Chmod(readable), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

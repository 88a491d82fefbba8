// Package runreport says what a run did: in a summary for people, a report for
// programs, and a file of Prometheus metrics. All three come from one Run.
package runreport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
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

// Begin starts the results of a run that works on one resource, one iteration after
// another.
func (r *Run) Begin(name, host string) {
	r.Resources = []jobs.ResourceResult{{Name: name, Host: host, Started: r.Started}}
}

// Add adds the result of one iteration of p to the resource. It replaces an earlier
// result of the iteration, except that Present does not replace Exported. stats are
// the client's so far.
func (r *Run) Add(p jobs.ProjectResult, stats extract.Stats) {
	n, it := &r.Resources[0], p.Iterations[0]
	at := slices.IndexFunc(n.Projects, func(old jobs.ProjectResult) bool { return old.ID == p.ID })
	if at < 0 {
		at = len(n.Projects)
		n.Projects = append(n.Projects, jobs.ProjectResult{ID: p.ID})
		n.Wanted++
	}
	old := &n.Projects[at]
	old.Stats = old.Stats.Add(stats.Sub(n.Stats))
	if it.Result != nil && it.Result.Export.ProjectName != nil {
		p.Name = *it.Result.Export.ProjectName
	}
	if p.Name != "" {
		old.Name = p.Name
	}
	i := slices.IndexFunc(old.Iterations, func(old jobs.IterationResult) bool { return old.ID == it.ID })
	switch {
	case i < 0:
		old.Iterations = append(old.Iterations, it)
	case it.Outcome != jobs.Present || old.Iterations[i].Outcome != jobs.Exported:
		old.Iterations[i] = it
	}
	r.Finish(stats)
}

// Finish brings the resource's statistics and end up to date.
func (r *Run) Finish(stats extract.Stats) {
	n := &r.Resources[0]
	n.Stats, n.Finished = stats, time.Now().UTC()
}

// Write writes the report and the metrics to their files. failed is how the run
// ended; exitCode is what the program makes of it.
func (r *Run) Write(ctx context.Context, exitCode int, failed error) error {
	var errs []error
	if r.ReportFile != "" {
		if err := writeReport(r.ReportFile, r.report(exitCode, failed)); err != nil {
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
	ID         schema.ID         `json:"project_id,omitzero"` // not of a name that is no project's
	Name       string            `json:"project_name"`
	Error      string            `json:"error,omitempty"`
	AlmostFull bool              `json:"almost_full"` // its oldest iteration will soon have to be deleted
	Iterations []reportIteration `json:"iterations"`
}

type reportIteration struct {
	ID       schema.ID        `json:"iteration_id,omitzero"` // not of a name that was not found
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

	Unread  map[string]string `json:"unread_times,omitempty"`
	Figures string            `json:"figures_missing,omitempty"` // of the service's own, and why

	Seconds float64 `json:"seconds,omitempty"`
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
		out.Unread, out.Figures = r.Unread, r.Export.FiguresMissing
	}
	return out
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// WriteJSON writes a value as indented JSON, without secrets and with escapes for what
// does not print.
func WriteJSON(w io.Writer, v any) error { return writeJSON(w, v, "  ") }

func writeJSON(w io.Writer, v any, indent string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, printable.Text(secret.Redact(b.String())))
	return err
}

// writeReport replaces a file, or writes to a stream that the user has named.
func writeReport(name string, v any) error {
	stream, err := regular.Target(name)
	if err != nil {
		return err
	}
	if stream != nil {
		return errors.Join(WriteJSON(stream, v), stream.Close())
	}
	return private.Replace(name, func(w io.Writer) error { return WriteJSON(w, v) })
}

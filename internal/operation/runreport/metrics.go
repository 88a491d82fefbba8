package runreport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/secret"
)

// gauges describe the last run, as is usual for batch jobs. Each has labels for
// command, shard, resource and project, so that a success of one does not hide a
// failure of another. What a run does not touch keeps its value.
var gauges = []struct{ name, help string }{
	{"last_run_timestamp_seconds", "When the last run finished with the project."},
	{"last_success_timestamp_seconds", "When a run last did all that was to do for the project (nightly: every completed iteration is in the warehouse), or for the whole resource where the project is empty; 0: never."},
	{"images", "Images exported by the last run."},
	{"rows", "Rows written by the last run, all tables."},
	{"bytes", "Bytes of Parquet written by the last run."},
	{"pages", "Pages read by the last run."},
	{"requests", "Requests sent by the last run, retries included."},
	{"retries", "Requests that the last run repeated."},
	{"throttled_seconds", "Seconds that the last run waited because of 429 responses."},
	{"exported_iterations", "Iterations exported by the last run."},
	{"failures", "Iterations the last run failed to export, or 1 if it could not read the project, or the resource where the project is empty."},
	{"listed_iterations", "Iterations of the project that the service had when a night last looked, of the 20 that it keeps."},
	{"completed_iterations", "Those of them with results, which the warehouse should have; of the shard's own part."},
	{"missing_iterations", "Those of the completed ones that the warehouse did not have, as they are at the service, after that night."},
	{"almost_full", "1 if the project is close to the service's limit of iterations, so that the oldest will soon have to be deleted."},
}

const metricPrefix = "cvexport_"

var metricLabels = []string{"command", "project", "resource", "shard"}

// lockTimeout is how long to wait for other jobs, which hold the lock for an instant.
// An interrupted run waits for them no longer than lastTimeout.
const (
	lockTimeout = 30 * time.Second
	lastTimeout = time.Second
)

// writeMetrics merges the run into the metrics file. Jobs that share the file do so
// one at a time, and no job loses the values of another. An interrupted run writes its
// metrics too.
func (r *Run) writeMetrics(ctx context.Context) (err error) {
	interrupted := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockTimeout)
	defer cancel()
	defer context.AfterFunc(interrupted, func() { time.AfterFunc(lastTimeout, cancel) })()
	if err := private.CheckLinks(r.MetricsFile); err != nil {
		return err
	}
	const retry = 5 * time.Millisecond
	name := filepath.Join(filepath.Dir(r.MetricsFile), "."+filepath.Base(r.MetricsFile)+".lock")
	lock, err := private.Lock(name)
	if err != nil {
		return err
	}
	if _, err := lock.TryLockContext(ctx, retry); err != nil {
		return fmt.Errorf("waiting for another job that writes %s, by %s: %w", r.MetricsFile, name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	vectors := map[string]*prometheus.GaugeVec{}
	registry := prometheus.NewRegistry()
	for _, g := range gauges {
		vectors[g.name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricPrefix + g.name, Help: g.help}, metricLabels)
		registry.MustRegister(vectors[g.name])
	}
	if err := readMetrics(r.MetricsFile, vectors, r.dropped); err != nil {
		return err
	}
	for _, n := range r.Resources {
		set := func(project string, values map[string]float64, complete bool) {
			labels := prometheus.Labels{"command": r.Command, "project": project, "resource": label(n.Name), "shard": r.Shard}
			for name, value := range values {
				vectors[name].With(labels).Set(value)
			}
			vectors["last_run_timestamp_seconds"].With(labels).Set(seconds(n.Finished))
			// With creates it as 0; an incomplete run leaves it as it is.
			if success := vectors["last_success_timestamp_seconds"].With(labels); complete {
				success.Set(seconds(n.Finished))
			}
		}
		complete, failures := n.Err == nil, 0.0
		if n.Err != nil {
			failures = 1
		}
		for _, p := range n.Projects {
			values, projectComplete := projectGauges(p)
			if r.Command == "nightly" && p.Err == nil { // which looks at all of a project
				coverageGauges(p, values)
			}
			if p.ID.IsZero() { // asked for by a name that is no project's
				failures, complete = failures+values["failures"], false
				continue
			}
			set(p.ID.String(), values, projectComplete)
			complete = complete && projectComplete
		}
		set("", map[string]float64{"failures": failures}, complete)
	}
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	return private.Replace(r.MetricsFile, func(w io.Writer) error {
		for _, family := range families {
			if _, err := expfmt.MetricFamilyToText(w, family); err != nil {
				return err
			}
		}
		return nil
	})
}

// label is a text that anybody may see, for the value of a label.
func label(text string) string { return printable.Line(secret.Redact(text)) }

// dropped reports whether labels are of a project that this run, which read all
// projects of the resource, did not find.
func (r *Run) dropped(labels prometheus.Labels) bool {
	if labels["command"] != r.Command || labels["shard"] != r.Shard || labels["project"] == "" {
		return false
	}
	return slices.ContainsFunc(r.Resources, func(n jobs.ResourceResult) bool {
		return label(n.Name) == labels["resource"] && n.All && n.Err == nil &&
			!slices.ContainsFunc(n.Projects, func(p jobs.ProjectResult) bool { return p.ID.String() == labels["project"] })
	})
}

// projectGauges returns the values for a project, and whether nothing is left to do.
func projectGauges(p jobs.ProjectResult) (v map[string]float64, complete bool) {
	v = map[string]float64{
		"images": 0, "rows": 0, "bytes": 0, "pages": 0, "exported_iterations": 0, "failures": 0, "almost_full": 0,
		"requests": float64(p.Stats.Requests), "retries": float64(p.Stats.Retries), "throttled_seconds": p.Stats.Waited.Seconds(),
	}
	complete = p.Err == nil
	if p.Err != nil {
		v["failures"]++
	}
	if p.Listed >= jobs.AlmostFull {
		v["almost_full"] = 1
	}
	for _, it := range p.Iterations {
		switch it.Outcome {
		case jobs.Failed:
			v["failures"]++
			complete = false
		case jobs.NotTried, jobs.Due:
			complete = false
		}
		if r := it.Result; r != nil {
			v["exported_iterations"]++
			v["images"] += float64(r.Export.Images())
			v["pages"] += float64(r.Pages)
			for _, o := range r.Export.Objects {
				v["rows"] += float64(o.Rows)
				v["bytes"] += float64(o.Bytes)
			}
		}
	}
	return v, complete
}

// coverageGauges adds what a night found at the service.
func coverageGauges(p jobs.ProjectResult, v map[string]float64) {
	v["listed_iterations"], v["completed_iterations"], v["missing_iterations"] = float64(p.Listed), 0, 0
	for _, it := range p.Iterations {
		switch it.Outcome {
		case jobs.Failed, jobs.NotTried, jobs.Due:
			v["missing_iterations"]++
			v["completed_iterations"]++
		case jobs.Exported, jobs.Present, jobs.Elsewhere, jobs.Kept:
			v["completed_iterations"]++
		}
	}
}

// maxMetrics bounds the metrics file that a run adds to, in bytes: a thousand projects of
// which each command and shard has its own are a tenth of it.
const maxMetrics = 64 << 20

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// readMetrics reads the values of earlier runs, except those that are dropped.
func readMetrics(file string, vectors map[string]*prometheus.GaugeVec, dropped func(prometheus.Labels) bool) error {
	f, err := regular.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	if info, err := f.Stat(); err == nil && info.Size() > maxMetrics {
		return fmt.Errorf("%s has %d bytes, more than the limit of %d; move it away", file, info.Size(), maxMetrics)
	}
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return fmt.Errorf("%s exists, but is not a metrics file; move it away: %w", file, err)
	}
	for name, vector := range vectors {
		for _, m := range families[metricPrefix+name].GetMetric() {
			labels := prometheus.Labels{}
			for _, l := range metricLabels {
				labels[l] = ""
			}
			for _, l := range m.GetLabel() {
				if _, known := labels[l.GetName()]; known {
					labels[l.GetName()] = l.GetValue()
				}
			}
			if !dropped(labels) {
				vector.With(labels).Set(m.GetGauge().GetValue())
			}
		}
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cvexport/cvexport/jobs"
)

// The metrics are gauges of the last run, as is usual for batch jobs, each of a
// resource and project, and of a command and shard, so that what a night failed to
// do is not covered up by an export of another iteration or by another shard. What
// a run says nothing about keeps its value: the last success of a project that
// failed, the projects of another run.
var gauges = []struct{ name, help string }{
	{"last_run_timestamp_seconds", "When the project was last looked at."},
	{"last_success_timestamp_seconds", "When a run last did all that it had to do of the project (nightly: every completed iteration is in the warehouse), or of the whole resource where the project is empty; 0: never."},
	{"images", "Images exported by the last run."},
	{"rows", "Rows written by the last run, all tables."},
	{"bytes", "Bytes of Parquet written by the last run."},
	{"pages", "Pages read by the last run."},
	{"requests", "Requests sent by the last run, retries included."},
	{"retries", "Requests of the last run that were tried again."},
	{"throttled_seconds", "Seconds that answers of 429 made the last run wait."},
	{"exported_iterations", "Iterations exported by the last run."},
	{"failures", "Iterations the last run failed to export, or 1 if it could not look at the project, or at the resource where the project is empty."},
	{"almost_full", "1 if the service is about to reach its limit of iterations, so that someone will delete the oldest."},
}

const metricPrefix = "cvexport_"

var metricLabels = []string{"command", "project", "resource", "shard"}

// metricsWait is how long others are waited for that write the same file, which
// each does in an instant.
const metricsWait = 30 * time.Second

// writeMetrics brings a file up to date with what a run did. Of several jobs that
// share it, one at a time reads and writes it, so that none loses a value of
// another. An interrupted run tells what it did as well.
func writeMetrics(ctx context.Context, file, command, shard string, nights []jobs.ResourceResult) (err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), metricsWait)
	defer cancel()
	const (
		retry    = 5 * time.Millisecond
		readable = 0o644 // jobs may run as several users
	)
	name := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+".lock")
	lock := flock.New(name, flock.SetPermissions(readable))
	if _, err := lock.TryLockContext(ctx, retry); err != nil {
		return fmt.Errorf("waiting for another job that writes %s, by %s: %w", file, name, err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return updateMetrics(file, command, shard, nights)
}

func updateMetrics(file, command, shard string, nights []jobs.ResourceResult) error {
	vectors := map[string]*prometheus.GaugeVec{}
	registry := prometheus.NewRegistry()
	for _, g := range gauges {
		vectors[g.name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: metricPrefix + g.name, Help: g.help}, metricLabels)
		registry.MustRegister(vectors[g.name])
	}
	gone := func(labels prometheus.Labels) bool {
		return labels["command"] == command && labels["shard"] == shard && slices.ContainsFunc(nights, func(n jobs.ResourceResult) bool {
			return n.Name == labels["resource"] && n.All && n.Err == nil && labels["project"] != "" &&
				!slices.ContainsFunc(n.Projects, func(p jobs.ProjectResult) bool { return p.ID.String() == labels["project"] })
		})
	}
	if err := keepOld(file, vectors, gone); err != nil {
		return err
	}
	for _, n := range nights {
		set := func(project string, values map[string]float64, whole bool) {
			labels := prometheus.Labels{"command": command, "project": project, "resource": n.Name, "shard": shard}
			for name, value := range values {
				vectors[name].With(labels).Set(value)
			}
			vectors["last_run_timestamp_seconds"].With(labels).Set(seconds(n.Finished))
			if success := vectors["last_success_timestamp_seconds"].With(labels); whole { // else what it was, or 0
				success.Set(seconds(n.Finished))
			}
		}
		whole, failures := n.Err == nil, 0.0
		if n.Err != nil {
			failures = 1
		}
		for _, p := range n.Projects {
			values, wholeProject := projectGauges(p)
			set(p.ID.String(), values, wholeProject)
			whole = whole && wholeProject
		}
		set("", map[string]float64{"failures": failures}, whole)
	}
	return prometheus.WriteToTextfile(file, registry)
}

// projectGauges are the figures of a project, and whether nothing of it is left to do.
func projectGauges(p jobs.ProjectResult) (v map[string]float64, whole bool) {
	v = map[string]float64{
		"images": 0, "rows": 0, "bytes": 0, "pages": 0, "exported_iterations": 0, "failures": 0, "almost_full": 0,
		"requests": float64(p.Stats.Requests), "retries": float64(p.Stats.Retries), "throttled_seconds": p.Stats.Waited.Seconds(),
	}
	whole = p.Err == nil
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
			whole = false
		case jobs.NotTried, jobs.Due:
			whole = false
		}
		if r := it.Result; r != nil {
			v["exported_iterations"]++
			v["images"] += float64(r.Export.Images)
			v["pages"] += float64(r.Pages)
			for _, o := range r.Export.Objects {
				v["rows"] += float64(o.Rows)
				v["bytes"] += float64(o.Bytes)
			}
		}
	}
	return v, whole
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// keepOld takes over what an earlier run wrote, but what is gone.
func keepOld(file string, vectors map[string]*prometheus.GaugeVec, gone func(prometheus.Labels) bool) error {
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return errors.Join(errors.New("the file is there, but is not one of metrics: move it away"), err)
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
			if !gone(labels) {
				vector.With(labels).Set(m.GetGauge().GetValue())
			}
		}
	}
	return nil
}

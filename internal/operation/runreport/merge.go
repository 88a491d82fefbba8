package runreport

import (
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
)

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

package main

import (
	"cmp"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// remaining estimates how long what is left of a resource's night takes. It counts in
// requests, which the rate limits. An iteration that is not counted yet is taken to be as
// large as the last one of its project or, if none is known, as others on average.
type remaining struct {
	started    time.Time // when the first export began
	iterations int       // of the night
	ended      int
	requests   int64 // of the ended
	left       map[schema.ID]int
	size       map[schema.ID]int64 // in requests, of an iteration of a project
}

// plan adds work.
func (r *remaining) plan(now time.Time, work []jobs.Workload) {
	if r.left == nil {
		r.started, r.left, r.size = now, map[schema.ID]int{}, map[schema.ID]int64{}
	}
	for _, w := range work {
		r.iterations += w.Iterations
		r.left[w.Project] += w.Iterations
		if w.Images > 0 {
			r.size[w.Project] = jobs.RequestsOf(w.Images)
		}
	}
}

// counted notes how many images an iteration of a project has.
func (r *remaining) counted(project schema.ID, images int) {
	if r.size != nil {
		r.size[project] = jobs.RequestsOf(int64(images))
	}
}

// end takes one iteration of a project for done.
func (r *remaining) end(project schema.ID) {
	if r.left[project] == 0 {
		return
	}
	r.left[project]--
	r.ended++
	r.requests += r.size[project]
}

// time is how long the rest takes if it goes on as so far. images of the current iteration
// are read. It is 0 if nothing is known.
func (r *remaining) time(now time.Time, images int) time.Duration {
	var known, projects, rest int64
	for _, size := range r.size {
		known += size
		projects++
	}
	done := r.requests + int64(images/extract.PageSize)
	if projects == 0 || done == 0 {
		return 0
	}
	for project, n := range r.left {
		rest += int64(n) * cmp.Or(r.size[project], known/projects)
	}
	rest = max(rest-int64(images/extract.PageSize), 0)
	return time.Duration(float64(now.Sub(r.started)) / float64(done) * float64(rest))
}

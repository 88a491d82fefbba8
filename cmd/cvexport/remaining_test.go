package main

import (
	"testing"
	"time"

	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// What is left is what is known of it, at the pace so far.
func TestRemaining(t *testing.T) {
	a, b, c := schema.ID{1}, schema.ID{2}, schema.ID{3}
	start := time.Now()
	var r remaining
	check := func(after time.Duration, images int, want time.Duration, ended int) {
		t.Helper()
		if got := r.time(start.Add(after), images); got != want || r.ended != ended || r.iterations != 6 {
			t.Errorf("after %s: %s left, %d of %d ended, want %s and %d", after, got, r.ended, r.iterations, want, ended)
		}
	}
	// An iteration of a has 8 + 2 requests, of b 8 + 22 as in the warehouse, of c is not known.
	r.plan(start, []jobs.Workload{{Project: a, Iterations: 2}, {Project: b, Iterations: 3, Images: 22 * 256}, {Project: c, Iterations: 1}})
	check(time.Second, 0, 0, 0)
	r.counted(a, 300)
	r.end(a)
	// 10 requests in 10 s; 10 of a, 90 of b, and 20 of c, the average.
	check(10*time.Second, 0, 120*time.Second, 1)
	r.counted(c, 256*32)
	r.end(c)
	// 50 requests in 100 s; 10 + 90 are left.
	check(100*time.Second, 0, 200*time.Second, 2)
	r.end(c) // none is left
	check(100*time.Second, 0, 200*time.Second, 2)
	check(120*time.Second, 10*256, 180*time.Second, 2)
	for range 2 {
		r.end(b)
		r.end(a)
	}
	r.end(b)
	check(400*time.Second, 0, 0, 6)
}

package verdict

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write the table of docs/explanation/evaluation.md")

const (
	document = "../../../docs/explanation/evaluation.md"
	begin    = "<!-- power: written by go test ./internal/analysis/verdict -run Power -update -->\n"
	end      = "<!-- end of power -->"
)

// TestPower finds how large a change must be to be called better in four of five runs,
// and compares the docs' table with that.
func TestPower(t *testing.T) {
	if testing.Short() {
		t.Skip("a long simulation")
	}
	sizes := []int{100, 1000, 10_000}
	lines := make([][]string, len(worlds))
	var group sync.WaitGroup
	for n, w := range worlds {
		lines[n] = make([]string, len(sizes))
		group.Go(func() {
			for at, images := range sizes {
				lines[n][at] = w.least(uint64(n), images)
			}
		})
	}
	group.Wait()
	table := "\n| kind | images | F1 before | F1 must rise by | images better | images worse | seen in |\n| --- | --- | --- | --- | --- | --- | --- |\n"
	for _, l := range lines {
		table += strings.Join(l, "")
	}
	table += "\n"
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	old, tail, also := strings.Cut(rest, end)
	if !ok || !also {
		t.Fatalf("%s has no place for the table, between %q and %q", document, begin, end)
	}
	switch {
	case *update:
		if err := os.WriteFile(document, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case old != table:
		t.Errorf("%s has another table than the simulation: run go test ./internal/analysis/verdict -run Power -update\n%s", document, table)
	}
}

// least finds the least gain that is called better in 80 % of the runs, and returns a
// line of the table about it. The images of a run are drawn from a pool of made up ones,
// whose figures the line has.
func (w world) least(seed uint64, images int) string {
	const runs, pool = 200, 50_000
	try := func(gain float64) (seen float64, of run) {
		r := rand.New(rand.NewPCG(seed, 0))
		made := make([]outcome, pool)
		next := 0
		of = compare(pool, func() outcome {
			made[next] = w.outcome(w.picture(r, gain))
			next++
			return made[next-1]
		})
		for range runs {
			if compare(images, func() outcome { return made[r.IntN(pool)] }).Word == Better {
				seen += 1.0 / runs
			}
		}
		return seen, of
	}
	low, high := 0.0, 2.0
	var seen float64
	var found run
	for range 8 {
		middle := (low + high) / 2
		if s, of := try(middle); s < 0.8 {
			low = middle
		} else {
			high, seen, found = middle, s, of
		}
	}
	return fmt.Sprintf("| %s | %d | %.1f %% | %.1f points | %.1f %% | %.1f %% | %.0f %% |\n", w.name, images, 100*found.f1[0],
		100*(found.f1[1]-found.f1[0]), 100*float64(found.better)/pool, 100*float64(found.worse)/pool, 100*seen)
}

package jobs

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// What a night has to do is told before its first export, and each end after it; an idle
// night tells nothing.
func TestNightlyPlanned(t *testing.T) {
	b := newBench(t, simulated.Config{Projects: 2, Iterations: 2, Training: 1, Images: 20})
	var told [][]Workload
	ended := map[schema.ID]int{}
	o := NightlyOptions{
		Planned: func(_ string, work []Workload) {
			if _, more := b.since(0); more > 0 {
				t.Errorf("%d requests before the plan besides listings", more)
			}
			told = append(told, work)
		},
		Ended: func(_ string, project schema.ID) { ended[project]++ },
	}
	b.nightly(t, Choice{}, o)
	first, second := b.service.Projects()[0].ID, b.service.Projects()[1].ID
	if want := []Workload{{first, 2, 0}, {second, 2, 0}}; len(told) != 1 || !slices.Equal(told[0], want) || ended[first] != 2 || ended[second] != 2 {
		t.Errorf("told %v, ended %v", told, ended)
	}
	before := len(b.service.Requests())
	b.nightly(t, Choice{}, o)
	if all, more := b.since(before); len(told) != 1 || ended[first] != 2 || all != 3 || more != 0 {
		t.Errorf("an idle night: told %v, ended %v, %d requests", told, ended, all)
	}
}

// A refusal while the projects are compared ends the night, after the exports of those
// that were compared before.
func TestNightlyRefusedLate(t *testing.T) {
	b := newBench(t, simulated.Config{Projects: 3, Images: 20})
	second := b.service.Projects()[1].ID.String()
	b.front(t, func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, second+"/iterations") {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	n := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, n, map[Outcome]int{Exported: 1})
	if !extract.AuthRefused(n.Err) || len(n.Projects) != 2 || !extract.AuthRefused(n.Projects[1].Err) {
		t.Errorf("%v, %+v", n.Err, n.Projects)
	}
}

package jobs

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// Names that are asked of several resources have to be in one of them, or in what the
// warehouse has of one; a name that a resource has several times is told.
func TestNightlyNames(t *testing.T) {
	a, b := newBench(t, simulated.Config{Seed: 1, Images: 20, Projects: 3}), newBench(t, simulated.Config{Seed: 2, Images: 20, Projects: 2})
	a.service.Rename(0, "shop")
	a.service.Rename(1, "twins")
	a.service.Rename(2, "twins")
	b.service.Rename(0, "Lab")
	all := resources(a, b)
	night := func(names ...string) []ResourceResult {
		t.Helper()
		for i := range all {
			all[i].Choice = Choice{Names: names, Shared: true}
		}
		nights, err := Nightly(t.Context(), all, NightlyOptions{Strict: true})
		if err != nil {
			t.Fatal(err)
		}
		return nights
	}
	nights := night("shop", "lab", "twins", "nowhere")
	for i, want := range []struct {
		projects int
		failures []string
	}{
		{3, []string{`2 projects are named "twins"`, `no project is named "nowhere"`}},
		{1, nil},
	} {
		n := nights[i]
		wantOutcomes(t, n, map[Outcome]int{Exported: 1})
		var failures []string
		for _, p := range n.Projects {
			if p.Err != nil {
				failures = append(failures, p.Err.Error())
			}
		}
		if n.Err != nil || len(n.Projects) != want.projects || len(failures) != len(want.failures) {
			t.Fatalf("resource %s: %v, %d projects, failures %q", n.Name, n.Err, len(n.Projects), failures)
		}
		for k, text := range want.failures {
			if !strings.Contains(failures[k], text) {
				t.Errorf("%s, want %s", failures[k], text)
			}
		}
	}

	// The service has it no more, or calls it otherwise: the warehouse has it still.
	a.service.Rename(0, "store")
	nights = night("SHOP")
	wantOutcomes(t, nights[0], map[Outcome]int{Present: 1})
	wantOutcomes(t, nights[1], nil)
	if nights[0].Err != nil || nights[1].Err != nil {
		t.Errorf("%v, %v", nights[0].Err, nights[1].Err)
	}
}

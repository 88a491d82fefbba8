package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// resources are those of several benches, which share the first one's warehouse.
func resources(benches ...*bench) []Resource {
	var all []Resource
	for i, b := range benches {
		all = append(all, Resource{Name: string(rune('a' + i)), Client: b.client, Store: benches[0].store, Request: b.request()})
	}
	return all
}

// A resource that cannot be tried, or whose project is gone, stops neither the other
// resources nor its own other projects.
func TestNightlyGoesOnWithoutWhatIsGone(t *testing.T) {
	a, b := newBench(t, simulated.Config{Seed: 1, Projects: 2, Images: 20}), newBench(t, simulated.Config{Seed: 2, Images: 20})
	all := append(resources(a, b), Resource{Name: "c", Err: errors.New("no key")})
	nowhere := schema.ID{15: 1}
	all[0].Choice.IDs = []schema.ID{nowhere, a.service.Projects()[1].ID}
	nights, err := Nightly(t.Context(), all, NightlyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, nights[0], map[Outcome]int{Exported: 1})
	wantOutcomes(t, nights[1], map[Outcome]int{Exported: 1})
	last := nights[0].Projects[1]
	if want := "neither resource a nor the warehouse has project " + nowhere.String(); nights[0].Err != nil || last.ID != nowhere || last.Err == nil || !strings.Contains(last.Err.Error(), want) {
		t.Errorf("%v, %+v; want %s", nights[0].Err, last, want)
	}
	if nights[2].Err == nil || nights[2].Err.Error() != "no key" {
		t.Errorf("the resource without a key: %v", nights[2].Err)
	}

	// One that the warehouse holds is archived.
	a.server.Config.Handler = b.service
	all[0].Choice.IDs = all[0].Choice.IDs[1:]
	if nights, err = Nightly(t.Context(), all[:1], NightlyOptions{}); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, nights[0], map[Outcome]int{Archived: 1})
}

// Ids that are asked of several resources have to be in one of them.
func TestNightlySharedProjects(t *testing.T) {
	a, b := newBench(t, simulated.Config{Seed: 1, Images: 20}), newBench(t, simulated.Config{Seed: 2, Images: 20})
	all := resources(a, b)
	nowhere := schema.ID{15: 1}
	choice := Choice{IDs: []schema.ID{a.service.Projects()[0].ID, nowhere, b.service.Projects()[0].ID}, Shared: true}
	all[0].Choice, all[1].Choice = choice, choice
	nights, err := Nightly(t.Context(), all, NightlyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{2, 1} { // one that is nowhere is reported once
		wantOutcomes(t, nights[i], map[Outcome]int{Exported: 1})
		if got := len(nights[i].Projects); got != want {
			t.Errorf("resource %s: %d projects, want %d: %+v", nights[i].Name, got, want, nights[i].Projects)
		}
	}
	if p := nights[0].Projects[1]; p.ID != nowhere || p.Err == nil {
		t.Errorf("%+v", p)
	}
	// Who does not answer may have it.
	b.server.Close()
	if nights, err = Nightly(t.Context(), all, NightlyOptions{}); err != nil || nights[1].Err == nil {
		t.Fatalf("%v, %v", err, nights[1].Err)
	}
	if p := nights[0].Projects; len(p) != 1 || p[0].Err != nil {
		t.Errorf("%+v", p)
	}
}

// Resources run side by side, each at its own rate: while one waits for its second
// request, the other exports everything.
func TestResourcesSideBySide(t *testing.T) {
	slow, quick := newBench(t, simulated.Config{Seed: 1, Images: 300}), newBench(t, simulated.Config{Seed: 2, Images: 300})
	var err error
	slow.client, err = extract.NewClient(extract.Options{Endpoint: slow.server.URL, Key: "simulated", Rate: 1e-3})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan []ResourceResult)
	go func() {
		nights, _ := Nightly(ctx, resources(slow, quick), NightlyOptions{}) // its error is that it was cancelled
		ended <- nights
	}()
	project := quick.service.Projects()[0]
	waitFor(t, "the quick resource to be exported", func() bool {
		_, held, err := load.ReadIteration(t.Context(), slow.store, project.ID, project.Iterations[0].ID)
		return err == nil && held
	})
	cancel()
	nights := <-ended
	wantOutcomes(t, nights[1], map[Outcome]int{Exported: 1})
	wantOutcomes(t, nights[0], map[Outcome]int{})
}

// What the warehouse holds is compared with the service in every respect.
func TestCurrent(t *testing.T) {
	at := func(day int) *extract.Time { return &extract.Time{Time: time.Date(2020, 1, day, 0, 0, 0, 0, time.UTC)} }
	for name, tc := range map[string]struct {
		change func(it *extract.Iteration, h *load.Committed)
		want   bool
	}{
		"as it was":      {func(*extract.Iteration, *load.Committed) {}, true},
		"a later schema": {func(_ *extract.Iteration, h *load.Committed) { h.Export.SchemaVersion = schema.Version + 1 }, true},
		"another zone": {func(it *extract.Iteration, _ *load.Committed) {
			it.TrainedAt.Time = it.TrainedAt.In(time.FixedZone("", 3600))
		}, true},
		"trained again":   {func(it *extract.Iteration, _ *load.Committed) { it.TrainedAt = at(3) }, false},
		"never trained":   {func(it *extract.Iteration, _ *load.Committed) { it.TrainedAt = nil }, false},
		"modified":        {func(it *extract.Iteration, _ *load.Committed) { it.LastModified = at(3) }, false},
		"an older schema": {func(_ *extract.Iteration, h *load.Committed) { h.Export.SchemaVersion = schema.Sufficient - 1 }, false},
		"some tags only":  {func(_ *extract.Iteration, h *load.Committed) { h.Export.TagFilter = []string{"x"} }, false},
		"not whole":       {func(_ *extract.Iteration, h *load.Committed) { h.Whole = false }, false},
	} {
		it := extract.Iteration{TrainedAt: at(1), LastModified: at(2)}
		h := load.Committed{Whole: true, Export: &load.Export{SchemaVersion: schema.Version, TrainedAt: at(1).Time, LastModified: at(2).Time}}
		tc.change(&it, &h)
		if got := current(it, h); got != tc.want {
			t.Errorf("%s: current is %v", name, got)
		}
	}
}

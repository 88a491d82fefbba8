package jobs

import (
	"errors"
	"hash/crc32"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// nightly runs one night over the bench's service, and checks that it gives all
// its memory back.
func (b *bench) nightly(t testing.TB, choice Choice, o NightlyOptions) ResourceResult {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	r := b.request()
	r.Memory, r.SpoolDir = mem, t.TempDir()
	nights, err := Nightly(t.Context(), []Resource{{Name: "test", Client: b.client, Store: b.store, Choice: choice, Request: r}}, o)
	if err != nil || len(nights) != 1 {
		t.Fatalf("%d nights, %v", len(nights), err)
	}
	mem.AssertSize(t, 0)
	return nights[0]
}

// outcomes counts them.
func outcomes(n ResourceResult) map[Outcome]int {
	counts := map[Outcome]int{}
	for _, p := range n.Projects {
		for _, it := range p.Iterations {
			counts[it.Outcome]++
		}
	}
	return counts
}

func wantOutcomes(t testing.TB, n ResourceResult, want map[Outcome]int) {
	t.Helper()
	if got := outcomes(n); !maps.Equal(got, want) {
		t.Errorf("outcomes %v, want %v", got, want)
	}
}

// pagesSince counts the requests since an earlier one, and those among them that
// are more than listings.
func (b *bench) since(requests int) (all, more int) {
	for _, r := range b.service.Requests()[requests:] {
		all++
		if !strings.HasSuffix(r.Path, "/projects") && !strings.HasSuffix(r.Path, "/iterations") {
			more++
		}
	}
	return all, more
}

// Three projects of six iterations, two in training and one failed: a night
// exports three of each; the next makes the listing calls alone; what is new is
// exported, what is gone stays.
func TestNightly(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 3, Kind: simulated.Detection, Projects: 3, Iterations: 3, Failed: 1, Training: 2, Images: 300})
	first := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, first, map[Outcome]int{Exported: 9, NotCompleted: 9})
	if report := b.verify(t); report.Iterations != 9 {
		t.Errorf("%d iterations in the warehouse", report.Iterations)
	}
	for p := range 3 {
		for k := range 3 {
			compareRows(t, b, p, k, 0, 300)
		}
	}
	before := len(b.service.Requests())
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Present: 9, NotCompleted: 9})
	if all, more := b.since(before); all != 4 || more != 0 {
		t.Errorf("%d requests with nothing to do, %d of them no listings; want 4, 0", all, more)
	}

	b.service.End(1, 4, simulated.Completed, "")
	third := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, third, map[Outcome]int{Exported: 1, Present: 9, NotCompleted: 8})
	if it := third.Projects[1].Iterations[4]; it.Outcome != Exported || it.Result.Export.Images() != 300 || it.Result.Export.Iteration != it.ID {
		t.Errorf("the new iteration: %+v", it)
	}

	b.service.Modify(0, 1) // published, say
	b.service.Delete(2, 0)
	before = len(b.snapshot(t))
	fourth := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, fourth, map[Outcome]int{Exported: 1, Present: 8, NotCompleted: 8, Archived: 1})
	if it := fourth.Projects[0].Iterations[1]; it.Outcome != Exported || it.Result.Replaced == nil {
		t.Errorf("the modified iteration: %+v", it)
	}
	if after := len(b.snapshot(t)); after != before {
		t.Errorf("%d objects, were %d", after, before)
	}
}

// What failed is reported and stops nothing; what was interrupted between two objects,
// or is of some tags only, is exported again.
func TestNightlyFailuresStopNothing(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 3, Projects: 2, Iterations: 3, Images: 300})
	bad := b.service.Projects()[0].Iterations[1].ID
	b.service.Fault(simulated.Fault{Kind: simulated.Truncated, Page: 1, Iteration: bad.String()})
	first := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, first, map[Outcome]int{Exported: 5, Failed: 1})
	if it := first.Projects[0].Iterations[1]; it.ID != bad || it.Err == nil || !strings.Contains(it.Err.Error(), "page 1") {
		t.Errorf("%+v", it)
	}

	b.useService(t, simulated.Config{Seed: 3, Projects: 2, Iterations: 3, Images: 300})
	project := b.service.Projects()[1]
	r := b.request()
	r.Project, r.Iteration, r.Tags, r.Force = project.ID, project.Iterations[0].ID.String(), []string{project.Tags[0].ID.String()}, true
	if _, err := b.export(t, r); err != nil {
		t.Fatal(err)
	}
	tags := schema.Tags.Path(project.ID, project.Iterations[1].ID)
	ours, err := b.store.Stat(t.Context(), tags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Put(t.Context(), tags, source("another export's"), ours.Version); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 3, Present: 3})
	b.verify(t)
	for p := range 2 {
		for k := range 3 {
			compareRows(t, b, p, k, 0, 300)
		}
	}
}

// Fewer images than the warehouse has are no failure every night: it is said,
// and the larger export stays.
func TestNightlyKeepsTheFuller(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 300})
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 1})
	b.useService(t, simulated.Config{Images: 299})
	b.service.Modify(0, 0)
	before := b.snapshot(t)
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Kept: 1})
	if !maps.Equal(before, b.snapshot(t)) {
		t.Error("the warehouse is not as it was")
	}
}

func TestNightlyChoiceAndDryRun(t *testing.T) {
	b := newBench(t, simulated.Config{Projects: 3, Iterations: 2, Images: 10})
	projects := b.service.Projects() // multilabel 1, 2 and 3
	for name, tc := range map[string]struct {
		choice Choice
		want   int // projects
	}{
		"all":     {want: 3},
		"ids":     {choice: Choice{IDs: []schema.ID{projects[2].ID, projects[0].ID}}, want: 2},
		"include": {choice: Choice{Include: []string{"* 1", "x", "* 2"}}, want: 2},
		"exclude": {choice: Choice{Exclude: []string{"* 1"}}, want: 2},
		"both":    {choice: Choice{Include: []string{"multi*"}, Exclude: []string{"* [23]"}}, want: 1},
		"none":    {choice: Choice{Include: []string{"Multi*"}}},
	} {
		n := b.nightly(t, tc.choice, NightlyOptions{DryRun: true})
		if got := outcomes(n)[Due]; n.Err != nil || n.Wanted != tc.want || got != 2*tc.want {
			t.Errorf("%s: %d projects, %d iterations due, %v; want %d projects", name, n.Wanted, got, n.Err, tc.want)
		}
	}
	if n := b.nightly(t, Choice{Include: []string{"Multi*"}}, NightlyOptions{Strict: true}); n.Err == nil || !strings.Contains(n.Err.Error(), `none of the 3 projects of resource test is chosen ("multilabel 1", `) {
		t.Errorf("a choice of nothing: %v", n.Err)
	}
	if len(b.snapshot(t)) != 0 {
		t.Error("a dry run wrote something")
	}
	if err := (Choice{Exclude: []string{"[a"}}).Validate(); err == nil {
		t.Error("a broken pattern is taken")
	}
}

// A project near the service's limit is reported, with its oldest iteration; one that
// only the warehouse has left is archived.
func TestNightlyAlmostFullAndVanished(t *testing.T) {
	b := newBench(t, simulated.Config{Projects: 2, Iterations: AlmostFull, Images: 5})
	n := b.nightly(t, Choice{}, NightlyOptions{})
	p := n.Projects[0]
	if p.Listed != AlmostFull || p.Oldest == nil || p.Oldest.ID != b.service.Projects()[0].Iterations[0].ID || p.Oldest.Outcome != Exported {
		t.Errorf("listed %d, oldest %+v", p.Listed, p.Oldest)
	}
	// The same host without its second project.
	gone := b.service.Projects()[1].ID
	one, err := simulated.New(simulated.Config{Projects: 1, Iterations: AlmostFull, Images: 5})
	if err != nil {
		t.Fatal(err)
	}
	b.server.Config.Handler = one
	n = b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, n, map[Outcome]int{Present: AlmostFull, Archived: AlmostFull})
	if p := n.Projects[1]; p.ID != gone || p.Name != "multilabel 2" {
		t.Errorf("archived project %s (%s)", p.ID, p.Name)
	}
}

func TestNightlyKeyRefused(t *testing.T) {
	b := newBench(t, simulated.Config{Key: "another"})
	if n := b.nightly(t, Choice{}, NightlyOptions{}); !extract.AuthRefused(n.Err) {
		t.Errorf("error %v", n.Err)
	}
}

// Two nightly runs and single exports over the same iterations at once: nothing
// fails, and the warehouse is whole.
func TestRunsAtOnce(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 9, Projects: 2, Iterations: 3, Images: 200})
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			n := b.nightly(t, Choice{}, NightlyOptions{})
			done := outcomes(n)
			if n.Err != nil || done[Exported]+done[Present]+done[Elsewhere] != 6 {
				t.Errorf("outcomes %v, %v", done, n.Err)
				for _, p := range n.Projects {
					for _, it := range p.Iterations {
						if it.Err != nil {
							t.Errorf("%s: %v", it.ID, it.Err)
						}
					}
				}
			}
		})
	}
	for k := range 3 {
		wait.Go(func() {
			r := b.request()
			r.Iteration = b.service.Projects()[0].Iterations[k].ID.String()
			if _, err := b.export(t, r); err != nil && !errors.Is(err, store.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if report := b.verify(t); report.Iterations != 6 {
		t.Errorf("%d iterations", report.Iterations)
	}
	for p := range 2 {
		for k := range 3 {
			compareRows(t, b, p, k, 0, 200)
		}
	}
}

// 200 iterations through one process: memory stays flat, no goroutine is left.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("200 exports take long")
	}
	b := newBench(t, simulated.Config{Seed: 1, Kind: simulated.Detection, Projects: 10, Iterations: 20, Images: 40})
	b.nightly(t, Choice{IDs: []schema.ID{b.service.Projects()[0].ID}}, NightlyOptions{}) // what stays once is not a leak
	goroutines := runtime.NumGoroutine()
	heap := heapInUse()
	n := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, n, map[Outcome]int{Present: 20, Exported: 180})
	waitFor(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= goroutines })
	grown := int64(heapInUse()) - int64(heap)
	t.Logf("after 180 iterations more the heap has grown by %d KiB", grown>>10)
	const limit = 4 << 20 // 25 KB per iteration would exceed it
	if grown > limit {
		t.Errorf("the heap has grown by %d bytes", grown)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

type source string

func (s source) ReadAt(p []byte, off int64) (int, error) {
	return strings.NewReader(string(s)).ReadAt(p, off)
}
func (s source) Size() int64    { return int64(len(s)) }
func (s source) CRC32C() uint32 { return crc32.Checksum([]byte(s), crc32.MakeTable(crc32.Castagnoli)) }

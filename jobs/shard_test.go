package jobs

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// Shards split the iterations without overlap, and make the warehouse that one
// process makes.
func TestShards(t *testing.T) {
	config := simulated.Config{Seed: 5, Projects: 3, Iterations: 6, Images: 40}
	b := newBench(t, config)
	const shards = 4
	nights := make([]ResourceResult, shards)
	var wait sync.WaitGroup
	for i := range shards {
		wait.Go(func() { nights[i] = b.nightly(t, Choice{}, NightlyOptions{Shard: Shard{i, shards}}) })
	}
	wait.Wait()
	exported := map[schema.ID]int{}
	for i, n := range nights {
		for _, p := range n.Projects {
			for _, it := range p.Iterations {
				if it.Outcome == Exported {
					exported[it.ID]++
					if !(Shard{i, shards}).Has(it.ID) {
						t.Errorf("shard %d exported %s", i, it.ID)
					}
				} else if it.Outcome != OtherShard && it.Outcome != Present {
					t.Errorf("shard %d: %s is %s: %v", i, it.ID, it.Outcome, it.Err)
				}
			}
		}
	}
	if len(exported) != 18 {
		t.Errorf("%d of 18 iterations exported", len(exported))
	}
	b.verify(t)
	for p := range 3 {
		for k := range 6 {
			if exported[b.service.Projects()[p].Iterations[k].ID] != 1 {
				t.Errorf("an iteration was exported %d times", exported[b.service.Projects()[p].Iterations[k].ID])
			}
			compareRows(t, b, p, k, 0, 40)
		}
	}
}

func TestShardIsStableAndEven(t *testing.T) {
	counts := make([]int, 7)
	for i := range 7000 {
		id := schema.ID{1, 2, byte(i), byte(i >> 8)}
		for s := range counts {
			if (Shard{s, len(counts)}).Has(id) {
				counts[s]++
			}
		}
	}
	if sum := func() (n int) {
		for _, c := range counts {
			n += c
		}
		return n
	}(); sum != 7000 || slices.Min(counts) < 800 {
		t.Errorf("counts %v", counts)
	}
	id, err := schema.ParseID("0b4c2f3a-5c1d-4e8f-9a7b-1c2d3e4f5a6b")
	if err != nil {
		t.Fatal(err)
	}
	if !(Shard{1, 10}).Has(id) { // must never change: shards of two versions may run side by side
		for i := range 10 {
			if (Shard{i, 10}).Has(id) {
				t.Errorf("%s is of shard %d", id, i)
			}
		}
	}
}

func TestShardFrom(t *testing.T) {
	for env, want := range map[string]string{
		"": "",
		"CLOUD_RUN_TASK_INDEX=2 CLOUD_RUN_TASK_COUNT=3": "2/3",
		"CLOUD_RUN_TASK_INDEX=0 CLOUD_RUN_TASK_COUNT=1": "",
		"JOB_COMPLETION_INDEX=0 CVEXPORT_SHARD_COUNT=2": "0/2",
		"JOB_COMPLETION_INDEX=0":                        "error: set CVEXPORT_SHARD_COUNT",
		"JOB_COMPLETION_INDEX=2 CVEXPORT_SHARD_COUNT=2": "error: shard \"2/2\" is not I/N",
		"CLOUD_RUN_TASK_INDEX=x CLOUD_RUN_TASK_COUNT=3": "error: CLOUD_RUN_TASK_INDEX",
		"CVEXPORT_SHARD_COUNT=5":                        "",
	} {
		got, err := ShardFrom(func(name string) string {
			for _, set := range strings.Fields(env) {
				if value, ok := strings.CutPrefix(set, name+"="); ok {
					return value
				}
			}
			return ""
		})
		text := got.String()
		if err != nil {
			text = "error: " + err.Error()
		}
		if strings.HasPrefix(want, "error: ") && strings.Contains(text, strings.TrimPrefix(want, "error: ")) {
			continue
		}
		if text != want {
			t.Errorf("%s: %s, want %s", env, text, want)
		}
	}
}

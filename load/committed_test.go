package load

import (
	"context"
	"os"
	"slices"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// whole reports whether iteration A of project A counts as exported.
func whole(t *testing.T, s store.Store) bool {
	t.Helper()
	held, err := ReadProject(context.Background(), s, schema.Evaluation, projectA)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range held {
		if h.Iteration == iterationA {
			return h.Whole
		}
	}
	return false
}

// An iteration counts only if every object its record lists is there as listed.
func TestCommittedWhole(t *testing.T) {
	damage := map[string]func(s *storetest.Memory, key string){
		"gone":   func(s *storetest.Memory, key string) { delete(s.Objects, key) },
		"longer": func(s *storetest.Memory, key string) { s.Set(key, append(slices.Clone(s.Objects[key].Body), 0)) },
		"changed": func(s *storetest.Memory, key string) {
			body := slices.Clone(s.Objects[key].Body)
			body[20] ^= 1
			s.Set(key, body)
		},
	}
	for name, do := range damage {
		for _, unsummed := range []bool{false, true} {
			for _, table := range schema.DataTables() {
				t.Run(name+"/"+table.Name, func(t *testing.T) {
					s := storetest.NewMemory()
					s.Unsummed = unsummed
					publish(t, s, exportA, projectA, iterationA, 1)
					if !whole(t, s) {
						t.Fatal("not whole to begin with")
					}
					do(s, table.Path(projectA, iterationA))
					if whole(t, s) {
						t.Error("it is taken for whole")
					}
				})
			}
		}
	}
}

// A folder keeps no checksums: there, whose an object is stands in the object.
func TestCommittedLocal(t *testing.T) {
	s, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, exportA, projectA, iterationA, 1)
	if !whole(t, s) {
		t.Error("not whole to begin with")
	}
	key := schema.Tags.Path(projectA, iterationA)
	ours, err := os.ReadFile(s.URL(key))
	if err != nil {
		t.Fatal(err)
	}
	publish(t, s, exportB, projectA, iterationA, 1) // of the same size
	if !whole(t, s) {
		t.Error("not whole after a replacement")
	}
	if err := os.WriteFile(s.URL(key), ours, 0o600); err != nil {
		t.Fatal(err)
	}
	if whole(t, s) {
		t.Error("an object of another export is taken for this one's")
	}
}

func TestCommittedDamagedRecord(t *testing.T) {
	s := storetest.NewMemory()
	publish(t, s, exportA, projectA, iterationA, 1)
	publish(t, s, exportB, projectA, projectA, 1)
	s.Set(schema.Exports.Path(projectA, iterationA), []byte("not parquet"))
	held, err := ReadProject(t.Context(), s, schema.Evaluation, projectA)
	if err != nil || len(held) != 2 {
		t.Fatalf("%+v, %v", held, err)
	}
	for _, h := range held {
		if damaged := h.Iteration == iterationA; (h.Damaged != nil) != damaged || h.Whole == damaged || (h.Export == nil) != damaged {
			t.Errorf("%+v", h)
		}
	}
	prior, err := ReadPrior(t.Context(), s, schema.Evaluation, projectA, iterationA)
	if err != nil || prior.Damaged() == nil || prior.Export() != nil {
		t.Errorf("damaged %v, export %v, %v", prior.Damaged(), prior.Export(), err)
	}
	if projects, err := CommittedProjects(t.Context(), s, schema.Evaluation); err != nil || !slices.Equal(projects, []schema.ID{projectA}) {
		t.Errorf("projects %v, %v", projects, err)
	}
}

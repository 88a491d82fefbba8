package viewtest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/schema"
)

// Through the cache every table, view and function has the rows that it has over the
// files, whatever has become of these since the last question: new, replaced in part or
// whole, removed, uncommitted, of older and newer versions.
func TestCachedRowsAreThoseOfTheFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("a long comparison")
	}
	memory := exported.Open(t, t.TempDir())
	exported.InMemory(t, memory)
	root, folder := t.TempDir(), t.TempDir()
	const rounds = 2
	for round := range rounds {
		// Each round has other rows for the iterations of the round before.
		m := &made{rows: map[string][]string{}}
		for seed := range uint64(2) {
			m.grow(2_000_000 + seed + uint64(round%2))
		}
		m.load(t, memory)
		next := t.TempDir()
		writeFiles(t, memory, next)
		if round%2 == 1 {
			exported.Drop(t, next, "exports", "model_kind")
			exported.Drop(t, next, "predictions", "tag_name")
		}
		moveSome(t, m, next, root)
		files := exported.Open(t, root)
		cached, warnings := exported.OpenCached(t, root, folder, cache.Scope{})
		if len(warnings) > 0 {
			t.Errorf("round %d: %v", round, warnings)
		}
		w := readWarehouse(t, files)
		if len(w.exports) == 0 {
			t.Fatal("no export was committed")
		}
		export := w.exports[0]
		scope := cache.Scope{Project: export.ProjectID, Iterations: []string{export.IterationID}}
		narrowed, _ := exported.OpenCached(t, root, folder, scope)
		of := w.places(export.ProjectID)
		calls := map[string]string{}
		for _, table := range schema.Tables() {
			calls[table.Name] = table.Name
		}
		for _, v := range schema.Views() {
			calls[v.Name] = call(v, arguments{0.5, 0.3, of[0], of[len(of)-1]})
		}
		for name, from := range calls {
			text := "SELECT * FROM " + from
			same(t, fmt.Sprintf("round %d: %s", round, name), rowsOf(t, files, text), rowsOf(t, cached, text))
			if round == rounds-1 && name != "iteration_changes" && name != "comparison" {
				text += " WHERE " + scope.Where()
				same(t, fmt.Sprintf("round %d: %s, narrowed", round, name), rowsOf(t, files, text), rowsOf(t, narrowed, text))
			}
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// moveSome moves two of three files to another warehouse, and removes one of seven there.
func moveSome(t *testing.T, m *made, from, to string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "*", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		relative, err := filepath.Rel(from, file)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(to, relative)
		switch {
		case m.one(3):
		case m.one(7):
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
		default:
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(file, target); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// same compares rows that the same SQL has made of the same rows: sums differ only in the
// order of what is summed up.
func same(t *testing.T, what string, want, got result) {
	t.Helper()
	equal := func(want, got []any) bool { return nearlySame(want, got, 1e-12) }
	sortRows(want.rows)
	sortRows(got.rows)
	if !slices.Equal(got.columns, want.columns) || !slices.Equal(got.types, want.types) || !slices.EqualFunc(got.rows, want.rows, equal) {
		t.Errorf("%s: %d rows of %v %v, want %d of %v %v", what, len(got.rows), got.columns, got.types, len(want.rows), want.columns, want.types)
	}
}

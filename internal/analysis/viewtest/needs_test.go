package viewtest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// A query needs all that it reads: over what it needs alone, it has the same rows. Only
// that much of a remote warehouse is copied.
func TestNeeds(t *testing.T) {
	root := t.TempDir()
	service := exportSimulated(t, root, simulated.Config{Seed: 3, Kind: simulated.Detection, Iterations: 2, Images: 60}, thresholds{0.5, 0.3})
	p := service.Projects()[0]
	a := arguments{0.5, 0.3, place{p.ID.String(), p.Iterations[0].ID.String(), ""}, place{p.ID.String(), p.Iterations[1].ID.String(), ""}}
	whole := exported.Open(t, root)
	calls := map[string]string{}
	for _, table := range schema.Tables() {
		calls[table.Name] = table.Name
	}
	for _, v := range schema.Views() {
		calls[v.Name] = call(v, a)
	}
	for name, call := range calls {
		if testing.Short() && !slices.Contains([]string{"images", "current_labels", "tag_metrics", "iteration_changes"}, name) {
			continue
		}
		text := fmt.Sprintf("SELECT count(*), coalesce(sum(hash(t)), 0)::VARCHAR FROM (SELECT COLUMNS(c -> c NOT LIKE 'f1%%' AND c NOT LIKE '%%precision%%' AND c NOT LIKE '%%recall%%') FROM %s) AS t", call)
		q, err := query.Parse(text, false)
		if err != nil {
			t.Fatal(err)
		}
		part, err := query.Open(t.Context(), root, q.Needs, q.Needs)
		if err != nil {
			t.Fatal(err)
		}
		want, got := rowsOf(t, whole, text).rows[0], rowsOf(t, part, text).rows[0]
		if err := part.Close(); err != nil {
			t.Error(err)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || want[0] == int64(0) && name != "export_health" {
			t.Errorf("%s: %v of the tables that it needs, want %v", name, got, want)
		}
	}
}

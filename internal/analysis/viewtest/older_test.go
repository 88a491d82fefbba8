package viewtest

import (
	"fmt"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// Exports of before schema version 2 lack model_kind, and may say Multilabel of a
// detector and null of a classifier. Alone or beside newer ones, they are judged the same.
func TestExportsWithoutModelKind(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	configs := map[string]simulated.Config{
		"detection":      {Kind: simulated.Detection, Images: 20, ClassificationType: "Multilabel"},
		"classification": {Kind: simulated.Multilabel, Images: 20, ClassificationType: "null"},
	}
	const figures = `SELECT k.model_kind, scope, tag_id, labels, true_positives, false_positives, round(f1, 9), precision_difference IS NULL
		FROM tag_metrics(0.5, 0.3) AS m JOIN model_kinds AS k USING (project_id, iteration_id) ORDER BY ALL`
	for kind, config := range configs {
		root := t.TempDir()
		exportSimulated(t, root, config, thresholds{0.5, 0.3})
		want := rowsOf(t, exported.Open(t, root), figures).rows
		exported.Drop(t, root, "exports", "model_kind")
		got := rowsOf(t, exported.Open(t, root), figures).rows
		if len(want) == 0 || want[0][0] != kind || want[0][6] == nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s without model_kind:\n%v\nwith it:\n%v", kind, got, want)
		}

		config.Seed = 1 // another project beside it
		exportSimulated(t, root, config, thresholds{0.5, 0.3})
		if kinds := rowsOf(t, exported.Open(t, root), "SELECT count(DISTINCT project_id), min(model_kind), max(model_kind) FROM model_kinds").rows; fmt.Sprint(kinds) != fmt.Sprintf("[[2 %[1]s %[1]s]]", kind) {
			t.Errorf("%s, older and newer: %v", kind, kinds)
		}
	}
}

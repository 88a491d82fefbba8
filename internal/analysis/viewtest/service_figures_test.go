package viewtest

import (
	"fmt"
	"math"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// The simulated service computes its figures by itself. At the thresholds that
// they were asked for they are those of the views; at others no difference is
// shown. They come as float32.
func TestServiceFiguresAreThoseOfTheRows(t *testing.T) {
	asked := []thresholds{{0.5, 0.3}, {0, 0}, {0.25, 0.75}, {0.75, 0.5}, {1, 1}}
	for _, config := range []simulated.Config{
		{Kind: simulated.Multiclass, Images: 100},
		{Kind: simulated.Multilabel, Images: 100, Tags: 20},
		{Kind: simulated.Detection, Images: 100, Predictions: 20},
		{Kind: simulated.Detection, Images: 4, Tags: 20}, // most tags have no label
		{Kind: simulated.Multilabel, Images: 4},
	} {
		t.Run(fmt.Sprintf("%s of %d", config.Kind, config.Images), func(t *testing.T) {
			if testing.Short() && config.Images != 4 {
				t.Skip("a long comparison")
			}
			t.Parallel()
			root := t.TempDir()
			config.Seed, config.Iterations = 7, len(asked)
			service := exportSimulated(t, root, config, asked...)
			db := exported.Open(t, root)
			exported.InMemory(t, db)
			detector := config.Kind == simulated.Detection
			for i, it := range service.Projects()[0].Iterations {
				at := asked[i]
				metrics := func(at thresholds, where string) [][]any {
					return rowsOf(t, db, fmt.Sprintf(`SELECT scope, tag_name, precision, service_precision, precision_difference, recall, service_recall, recall_difference
						FROM tag_metrics(probability_threshold := %v, overlap_threshold := %v) WHERE iteration_id = '%s' AND %s`, at.probability, at.overlap, it.ID, where)).rows
				}
				areas := func(overlap float64) [][]any {
					return rowsOf(t, db, fmt.Sprintf(`SELECT scope, tag_name, average_precision, service_average_precision, average_precision_difference
						FROM average_precision(overlap_threshold := %v) WHERE iteration_id = '%s'`, overlap, it.ID)).rows
				}
				// The service's one figure for an iteration counts every case the same.
				sameFigures(t, at, metrics(at, "scope <> 'macro'"), config.Tags, 2, 5)
				sameFigures(t, at, areas(at.overlap), config.Tags, 2)

				other := asked[(i+1)%len(asked)]
				noDifference(t, metrics(other, "true"), 4, 7)
				noDifference(t, metrics(thresholds{other.probability, at.overlap}, "true"), 4, 7)
				if detector {
					noDifference(t, metrics(thresholds{at.probability, other.overlap}, "true"), 4, 7)
					noDifference(t, areas(other.overlap), 4)
				} else {
					sameFigures(t, at, areas(other.overlap), config.Tags, 2) // it has no overlap
				}
			}
		})
	}
}

// The service's figures are of every image: an export of some has none to compare.
func TestServiceFiguresOfFilteredExports(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	for _, kind := range []simulated.Kind{simulated.Detection, simulated.Multilabel} {
		root := t.TempDir()
		exportSimulatedTags(t, root, simulated.Config{Kind: kind, Images: 40, Seed: 7}, 2, thresholds{0.5, 0.3})
		db := exported.Open(t, root)
		if rows := rowsOf(t, db, "SELECT images FROM exports WHERE len(tag_filter) = 2").rows; len(rows) != 1 {
			t.Fatalf("%s: filtered exports: %v", kind, rows)
		}
		noDifference(t, rowsOf(t, db, "SELECT scope, tag_name, precision_difference, recall_difference FROM tag_metrics(0.5, 0.3)").rows, 2, 3)
		noDifference(t, rowsOf(t, db, "SELECT scope, tag_name, average_precision_difference FROM average_precision(0.3)").rows, 2)
		for _, figures := range []string{"tag_metrics()", "average_precision()", "precision_recall_curve()", "best_threshold()", "confusion()"} {
			if got := rowsOf(t, db, "SELECT DISTINCT limited_to_tags FROM "+figures).rows; len(got) != 1 || got[0][0] != int64(2) {
				t.Errorf("%s of %s is limited to %v tags, want 2", figures, kind, got)
			}
		}
	}
}

// sameFigures compares columns that each have the service's figure and the
// difference from it at their right. The service says 0 where ours is null.
func sameFigures(t *testing.T, at thresholds, rows [][]any, tags int, columns ...int) {
	t.Helper()
	if len(rows) < max(tags, 5)+1 {
		t.Fatalf("%d rows of %d tags", len(rows), tags)
	}
	for _, row := range rows {
		for _, c := range columns {
			ours, isThere := row[c].(float64)
			service, _ := row[c+1].(float64)
			difference, isCompared := row[c+2].(float64)
			if row[c+1] == nil || isThere != isCompared || math.Abs(ours-service) > 1e-6 || math.Abs(difference) > 1e-6 {
				t.Errorf("at %v: %v: %v, the service says %v, difference %v", at, row[:2], row[c], row[c+1], row[c+2])
			}
		}
	}
}

func noDifference(t *testing.T, rows [][]any, columns ...int) {
	t.Helper()
	if len(rows) == 0 {
		t.Error("no rows")
	}
	for _, row := range rows {
		for _, c := range columns {
			if row[c] != nil {
				t.Errorf("asked for at other thresholds or of more images, but there is a difference: %v", row)
			}
		}
	}
}

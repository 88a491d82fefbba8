package jobs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
)

func TestExportEveryKind(t *testing.T) {
	for _, config := range []simulated.Config{
		{Kind: simulated.Multiclass, Images: 513},
		{Kind: simulated.Multilabel, Images: 512, Tags: 25}, // the last page is full
		{Kind: simulated.Detection, Images: 300},
		{Kind: simulated.Detection, Images: 1},
		{Kind: simulated.Multiclass, Images: 0},
	} {
		t.Run(fmt.Sprintf("%s of %d", config.Kind, config.Images), func(t *testing.T) {
			config.Seed = 3
			b := newBench(t, config)
			result, err := b.export(t, b.request())
			if err != nil {
				t.Fatal(err)
			}
			if result.Export.Images() != int64(config.Images) || result.Replaced != nil {
				t.Errorf("result = %+v", result)
			}
			compareRows(t, b, 0, 0, 0, config.Images)
			if report := b.verify(t); report.Iterations != 1 || report.Objects != 6 {
				t.Errorf("verified %+v", report)
			}
		})
	}
}

// The service's own figures are kept, and are right for the rows.
func TestPerformanceAgreesWithRows(t *testing.T) {
	b := newBench(t, simulated.Config{Kind: simulated.Multilabel, Images: 700})
	r := b.request()
	r.ProbabilityThreshold = 0.7
	if _, err := b.export(t, r); err != nil {
		t.Fatal(err)
	}
	table := func(name string) string { return fmt.Sprintf("read_parquet('%s/%s/**/*.parquet')", b.root, name) }
	off := duckRows(t, `
WITH judged AS (
  SELECT p.tag_id, count(*) FILTER (t.tag_id IS NOT NULL) AS hits, count(*) AS positive
  FROM `+table("predictions")+` p LEFT JOIN `+table("tags")+` t ON p.image_id = t.image_id AND p.tag_id = t.tag_id
  WHERE p.probability >= 0.7 GROUP BY ALL),
labelled AS (SELECT tag_id, count(*) AS labels FROM `+table("tags")+` GROUP BY ALL)
SELECT s.tag_name, s.precision, hits / positive, s.recall, hits / labels
FROM `+table("tag_performance")+` s JOIN judged USING (tag_id) JOIN labelled USING (tag_id)
WHERE abs(s.precision - hits / positive) > 1e-6 OR abs(s.recall - hits / labels) > 1e-6 OR s.average_precision NOT BETWEEN 0.2 AND 1`)
	if len(off) > 0 {
		t.Errorf("figures that differ from the rows: %v", off)
	}
	if n := duckRows(t, "SELECT count(*) FROM "+table("tag_performance")); n[0] != "[8]" {
		t.Errorf("%s tags", n[0])
	}
}

func TestExportByTags(t *testing.T) {
	b := newBench(t, simulated.Config{Kind: simulated.Multilabel, Images: 900, Tags: 45})
	tags := b.service.Projects()[0].Tags
	labels := make([][]simulated.Label, 900)
	for i := range labels {
		labels[i] = b.service.Image(0, 0, i).Tags
	}
	for name, asked := range map[string][]int{"one": {0}, "two groups": {3, 9, 1, 0, 2, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24}} {
		t.Run(name, func(t *testing.T) {
			r := b.request()
			r.Force = true
			want := map[int]bool{}
			for n, place := range asked {
				if n%2 == 0 {
					r.Tags = append(r.Tags, tags[place].Name)
				} else {
					r.Tags = append(r.Tags, strings.ToUpper(tags[place].ID.String()))
				}
				for i, labels := range labels {
					for _, label := range labels {
						if label.Tag == tags[place] {
							want[i] = true
						}
					}
				}
			}
			result, err := b.export(t, r)
			if err != nil {
				t.Fatal(err)
			}
			if int(result.Export.Images()) != len(want) || len(result.Export.TagFilter) != len(asked) {
				t.Errorf("%d images by %d tags, want %d by %d", result.Export.Images(), len(result.Export.TagFilter), len(want), len(asked))
			}
			b.verify(t) // each image once, and no rows of others
		})
	}
	r := b.request()
	r.Tags = []string{"no such tag"}
	if _, err := b.export(t, r); err == nil || !strings.Contains(err.Error(), `no tag "no such tag"; it has 45`) {
		t.Errorf("error = %v", err)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 5, Images: 300, Training: 1})
	full, err := b.export(t, b.request())
	if err != nil {
		t.Fatal(err)
	}
	training := b.request()
	training.Iteration = b.service.Projects()[0].Iterations[1].ID.String()
	if _, err := b.export(t, training); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `is "Training", not Completed`) {
		t.Errorf("training: error = %v", err)
	}
	filtered := b.request()
	filtered.Tags = []string{"fork"}
	if _, err := b.export(t, filtered); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "with all its 300 images") {
		t.Errorf("filtered: error = %v", err)
	}
	b.useService(t, simulated.Config{Seed: 5, Images: 299, Training: 1})
	if _, err := b.export(t, b.request()); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "300 images, and the service now has 299") {
		t.Errorf("fewer: error = %v", err)
	}
	if got, _, err := load.ReadExport(t.Context(), b.store, full.Export.Project, full.Export.Iteration); err != nil || got.ExportID != full.Export.ExportID {
		t.Errorf("after the refusals: export %v, %v", got.ExportID, err)
	}
	force := b.request()
	force.Force = true
	result, err := b.export(t, force)
	if err != nil || result.Replaced == nil || result.Replaced.Images() != 300 || result.Export.Images() != 299 {
		t.Errorf("forced: %+v, %v", result, err)
	}
	b.verify(t)
}

func TestLatestIsTrainedLast(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 5, Iterations: 3, Failed: 1, Training: 1})
	result, err := b.export(t, b.request())
	if want := b.service.Projects()[0].Iterations[2].ID; err != nil || result.Export.Iteration != want {
		t.Errorf("exported %s, %v; want %s", result.Export.Iteration, err, want)
	}
	b.useService(t, simulated.Config{Iterations: -1, Training: 1})
	if _, err := b.export(t, b.request()); !errors.Is(err, ErrRefused) {
		t.Errorf("none completed: error = %v", err)
	}
}

func TestPrepareChangesNothing(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 300})
	plan, err := Prepare(t.Context(), b.client, b.store, b.request())
	if err != nil || plan.Images != 300 || plan.Pages != 2 || plan.Refusal != nil {
		t.Errorf("plan = %+v, %v", plan, err)
	}
	if files := b.snapshot(t); len(files) > 0 {
		t.Errorf("the warehouse has %v", files)
	}
	for _, r := range b.service.Requests() {
		if r.Page >= 0 {
			t.Errorf("page %d was asked for", r.Page)
		}
	}
}

func TestPagesAreRead(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 1000, Kind: simulated.Detection})
	if _, err := b.export(t, b.request()); err != nil {
		t.Fatal(err)
	}
	asked := map[int]int{}
	for _, r := range b.service.Requests() {
		if r.Page >= 0 {
			asked[r.Page]++
		}
	}
	if want := map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1}; fmt.Sprint(asked) != fmt.Sprint(want) { // 4 is the empty one
		t.Errorf("pages asked for: %v, want %v", asked, want)
	}
}

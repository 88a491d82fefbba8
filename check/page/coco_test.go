package page

import (
	"math"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/evaluate"
)

// cocoTable compares COCO's numbers of both iterations with those that cvreport coco
// prints. A classifier has none.
func cocoTable(b *tab, v *views) {
	b.Helper()
	if v.one("SELECT any_value(model_kind) FROM model_kinds")[0] != "detection" {
		if !read[bool](b, `document.querySelector("#coco").hidden`) {
			b.Error("there is a part with COCO's numbers, of a classifier")
		}
		return
	}
	of := func(iteration string) *evaluate.Detector {
		d, err := evaluate.COCO(b.Context(), v.db, v.project, iteration)
		if err != nil {
			b.Fatal(err)
		}
		return d
	}
	value := func(f float64) any {
		if math.IsNaN(f) {
			return nil
		}
		return f
	}
	now, before := of(v.shown), of(v.before)
	var want []line
	for n, d := range coco.Definitions {
		f, old := value(now.Figures.Values[n]), value(before.Figures.Values[n])
		want = append(want, line{
			"Figure": d.Name, "Overlap": d.Overlap, "Size": d.Area, "Detections": whole(float64(d.Detections)), "Labels": whole(float64(now.Figures.Labels[n])),
			"Value": percent(f), "Before": percent(old), "Changed": change(f, old, 100, 1),
		})
	}
	compare(b, "COCO's numbers", cells(b, "coco-table"), want, true)
	if lead, want := b.text("#coco-lead"), whole(float64(now.Images))+" images and "+whole(float64(now.Figures.Labels[0]))+" labels"; !strings.Contains(lead, want) {
		b.Errorf("COCO's numbers: the page says %q, without %q", lead, want)
	}
}

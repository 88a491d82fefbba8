package report

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/coco/cocotest"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// The page has the numbers of pycocotools for both iterations of the demo's detector.
func TestCOCO(t *testing.T) {
	page := loadPage(t, exported.Warehouse(t, simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 300, Iterations: 2}), Options{})
	c := page.COCO
	if c == nil || c.Images != 300 || c.ImagesBefore != 300 || c.Missing != "" || c.MissingBefore != "" {
		t.Fatalf("the page has %+v", c)
	}
	demo := cocotest.Demo(t)
	for n, figures := range [][]cocoFigure{c.Before, c.Figures} {
		for i, f := range figures {
			want, definition := demo[n].Answers[0][i], coco.Definitions[i]
			switch {
			case f.Name != definition.Name || f.Area != definition.Area:
				t.Errorf("figure %d is %+v, want %s", i, f, definition.Name)
			case f.Value == nil:
				if want != -1 {
					t.Errorf("%s is missing, want %v", f.Name, want)
				}
			case *f.Value-want > 1e-12 || want-*f.Value > 1e-12:
				t.Errorf("%s is %v, want %v", f.Name, *f.Value, want)
			}
		}
		if len(figures) != len(coco.Definitions) {
			t.Errorf("%d figures", len(figures))
		}
	}
}

// A page has everything else if the boxes of an iteration cannot be measured.
func TestCOCOWithoutSizes(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 20, Iterations: 2})
	exported.Rewrite(t, root, "images", "CASE WHEN image_index < 3 THEN NULL ELSE width END AS width")
	page := loadPage(t, root, Options{})
	for _, missing := range []string{page.COCO.Missing, page.COCO.MissingBefore} {
		if !strings.Contains(missing, "3 images, the first of them ") {
			t.Errorf("missing because %q", missing)
		}
	}
	if page.COCO.Figures != nil || page.COCO.Before != nil || page.AveragePrecision == nil {
		t.Errorf("the page has %+v", page.COCO)
	}
}

func TestNoCOCOOfClassifiers(t *testing.T) {
	page := loadPage(t, exported.Warehouse(t, simulated.Config{Seed: 1, Images: 20, Iterations: 2}), Options{})
	if b, err := json.Marshal(page.COCO); string(b) != "null" || err != nil {
		t.Errorf("a classifier's page has %s, %v", b, err)
	}
}

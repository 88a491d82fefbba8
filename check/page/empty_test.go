package page

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestNothingToJudge shows iterations that cannot be judged, although the service has
// figures for them.
func TestNothingToJudge(t *testing.T) {
	for name, tc := range map[string]struct {
		config simulated.Config
		empty  []string // tables
		says   string
		shows  string // the sections, by their headings
		slides bool   // there are figures that the slider moves
	}{
		"no images":                 {simulated.Config{Kind: simulated.Detection}, nil, "This iteration has no evaluated images, so there is nothing to judge it by.", "", false},
		"no images, two iterations": {simulated.Config{Kind: simulated.Multiclass, Iterations: 2}, nil, "This iteration has no evaluated images", "", false},
		"no labels": {simulated.Config{Kind: simulated.Multilabel, Images: 30, Iterations: 2}, []string{"tags"},
			"None of the 30 images has a label, so it cannot be judged whether what is predicted is right, nor whether the iteration is better", "Over all iterations", false},
		"no boxes labelled": {simulated.Config{Kind: simulated.Detection, Images: 30}, []string{"regions"},
			"None of the 30 images has a label, so it cannot be judged", "", false},
		"no predictions": {simulated.Config{Kind: simulated.Multiclass, Images: 30}, []string{"predictions"},
			"The iteration cannot be judged: it has no prediction of 0.05 or surer on any of its 30 images, so all of the 30 labels are missed.", "", false},
		"no boxes predicted": {simulated.Config{Kind: simulated.Detection, Images: 30, Iterations: 2}, []string{"predictions"},
			"The iteration cannot be judged: it has no prediction of 0.05 or surer on any of its 30 images", "Over all iterations", true},
	} {
		t.Run(name, func(t *testing.T) {
			root := exported.Warehouse(t, tc.config)
			for _, table := range tc.empty {
				exported.Empty(t, root, table)
			}
			url := "file://" + htmlReport(t, root)
			b := newTab(t)
			b.look(390, "light")
			b.open(url)
			if said := b.text("#nothing"); !strings.HasPrefix(said, tc.says) {
				t.Errorf("the page says %q, not %q", said, tc.says)
			}
			shows := read[[]string](b, `[...document.querySelectorAll("h2")].filter((h) => h.checkVisibility()).map((h) => h.innerText)`)
			if got := strings.Join(shows, ", "); got != tc.shows {
				t.Errorf("it shows %q, not %q", got, tc.shows)
			}
			if bar := read[bool](b, `document.querySelector("#bar").checkVisibility()`); bar != tc.slides {
				t.Errorf("the slider is shown: %t, with %q", bar, shows)
			}
			for _, wrong := range []string{"As good", "Better", "Weakest", "over 0 labels", "NaN", "undefined"} {
				if text := b.text("main"); strings.Contains(text, wrong) {
					t.Errorf("it says %q: %s", wrong, text)
				}
			}
			b.faultless()
			b.quiet(url)
		})
	}
}

// TestNothingToCompare compares with an iteration that has no labels or no predictions.
func TestNothingToCompare(t *testing.T) {
	for table, says := range map[string]string{"regions": "No verdict: Iteration 1 has no label on the 30 images that both judged.", "predictions": "No verdict: Iteration 1 has no prediction of 0.05 or surer on the 30 images that both judged."} {
		root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: 30, Iterations: 2})
		keepNewest(t, root, table)
		url := "file://" + htmlReport(t, root)
		b := newTab(t)
		b.open(url)
		if said := b.text("#headline-lead"); said != says {
			t.Errorf("without %s before, the page says %q, not %q", table, said, says)
		}
		if read[bool](b, `document.querySelector("#broken").checkVisibility()`) {
			t.Errorf("without %s before, the page lists what is broken", table)
		}
		b.quiet(url)
	}
}

// keepNewest empties a table except for the newest iteration.
func keepNewest(t *testing.T, root, table string) {
	t.Helper()
	var newest string
	if err := exported.Open(t, root).QueryRowContext(t.Context(), "SELECT max_by(iteration_id, trained_at) FROM exports").Scan(&newest); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, table, "*", "iteration_id="+newest, "data.parquet"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	rows, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	exported.Empty(t, root, table)
	if err := os.WriteFile(files[0], rows, 0o644); err != nil {
		t.Fatal(err)
	}
}

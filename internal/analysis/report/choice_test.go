package report

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

func TestChoice(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Multiclass, Images: 10, Iterations: 3, Projects: 2})
	projects, err := Projects(t.Context(), exported.OpenViews(t, root))
	if err != nil {
		t.Fatal(err)
	}
	iterations, err := Iterations(t.Context(), exported.OpenViews(t, root), projects[0].ID)
	if err != nil || len(iterations) != 3 {
		t.Fatalf("%d iterations: %v", len(iterations), err)
	}
	first, second, third := iterations[0].ID, iterations[1].ID, iterations[2].ID
	for name, tc := range map[string]struct {
		options         Options
		shown, compared int
		err             error
		says            string
	}{
		"latest":            {Options{Project: projects[0].ID}, 2, 1, nil, ""},
		"the middle one":    {Options{Project: projects[0].ID, Iteration: second}, 1, 0, nil, ""},
		"the first":         {Options{Project: projects[0].ID, Iteration: first}, 0, -1, nil, ""},
		"with a later one":  {Options{Project: projects[0].ID, Iteration: first, Compare: third}, 0, 2, nil, ""},
		"of two projects":   {Options{}, 0, 0, ErrChoice, "holds 2 projects"},
		"unknown project":   {Options{Project: "x"}, 0, 0, ErrNotFound, projects[1].ID},
		"unknown iteration": {Options{Project: projects[0].ID, Iteration: "x"}, 0, 0, ErrNotFound, third},
		"of another":        {Options{Project: projects[1].ID, Compare: "x"}, 0, 0, ErrNotFound, `no iteration is named "x"`},
		"by names":          {Options{Project: strings.ToUpper(projects[0].Name), Iteration: iterations[1].Name, Compare: "latest"}, 1, 2, nil, ""},
		"a name of none":    {Options{Project: projects[0].Name, Iteration: "published"}, 0, 0, ErrNotFound, "no iteration is published"},
		"with itself":       {Options{Project: projects[0].ID, Compare: third}, 0, 0, ErrChoice, "other than itself"},
	} {
		page, err := Load(t.Context(), exported.OpenViews(t, root), tc.options)
		switch {
		case !errors.Is(err, tc.err):
			t.Errorf("%s: %v, want %v", name, err, tc.err)
		case err != nil:
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: the error %q does not say %q", name, err, tc.says)
			}
		case page.Shown != tc.shown || page.Compared != tc.compared:
			t.Errorf("%s: shows %d compared with %d", name, page.Shown, page.Compared)
		}
	}
}

// What is not comparable is not compared: a classifier with a detector, or the service's
// figures at other thresholds.
func TestNotComparable(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: 10, Iterations: 3})
	exported.Rewrite(t, root, "exports", "CASE iteration_name WHEN 'Iteration 1' THEN 0.6 ELSE overlap_threshold END AS overlap_threshold",
		"CASE iteration_name WHEN 'Iteration 2' THEN 'classification' ELSE model_kind END AS model_kind")
	page, err := Load(t.Context(), exported.OpenViews(t, root), Options{})
	if err != nil {
		t.Fatal(err)
	}
	is := page.Iterations
	if page.Compared != -1 || is[0].AveragePrecision != nil || is[0].Precision != nil || is[1].Precision == nil || is[2].AveragePrecision == nil ||
		!strings.Contains(strings.Join(page.Notes, " "), "left out") {
		t.Errorf("compared with %d, figures %+v, notes %q", page.Compared, is, page.Notes)
	}
	if _, err := Load(t.Context(), exported.OpenViews(t, root), Options{Compare: is[1].ID}); !errors.Is(err, ErrChoice) {
		t.Errorf("a detector compared with a classifier: %v", err)
	}
	if page, err := Load(t.Context(), exported.OpenViews(t, root), Options{Compare: is[0].ID}); err != nil || page.Compared != 0 {
		t.Errorf("compared with %v (%v)", page, err)
	}
}

// The same warehouse makes the same page.
func TestSamePage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: 120, Iterations: 2})
	// DuckDB adds up in any order, which the last digits show.
	fraction := regexp.MustCompile(`\d+\.\d+`)
	rounded := func(text string) string {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return strconv.FormatFloat(f, 'f', 9, 64)
	}
	write := func() []string {
		var b bytes.Buffer
		if err := (Writer{Version: "test", Now: time.Unix(0, 0)}).Write(&b, loadPage(t, root, Options{})); err != nil {
			t.Fatal(err)
		}
		return strings.SplitAfter(fraction.ReplaceAllStringFunc(b.String(), rounded), "]")
	}
	if diff := cmp.Diff(write(), write()); diff != "" {
		t.Errorf("two pages of one warehouse differ:\n%s", diff)
	}
}

// Nothing of what is embedded ends the script or the style it stands in.
func TestAssets(t *testing.T) {
	if strings.Contains(strings.ToLower(script), "</script") || strings.Contains(script, "<!--") || strings.Contains(strings.ToLower(style), "</style") {
		t.Error("the script or the style ends before its end")
	}
	if strings.Contains(script, "sourceMappingURL") {
		t.Error("the script names a map, which a browser would ask for")
	}
}

func TestThin(t *testing.T) {
	var curve []point
	for n := range 10_000 {
		curve = append(curve, point{float64(n+1) / 10_000, 1 - float64(n%97)/200, 1 - float64(n)/10_000})
	}
	kept := thin(curve)
	if len(kept) > 4*(curveColumns+1) {
		t.Errorf("%d points are kept", len(kept))
	}
	if kept[0] != curve[0] || kept[len(kept)-1] != curve[len(curve)-1] {
		t.Error("an end of the curve is lost")
	}
	if !slices.IsSortedFunc(kept, func(a, b point) int { return int((a.recall - b.recall) * 1e6) }) {
		t.Error("the points are out of order")
	}
	for column := range curveColumns {
		extremes := func(points []point) (low, high float64) {
			low, high = 2, -1
			for _, p := range points {
				if int(p.recall*curveColumns) == column {
					low, high = min(low, p.precision), max(high, p.precision)
				}
			}
			return low, high
		}
		low, high := extremes(curve)
		if l, h := extremes(kept); l != low || h != high {
			t.Errorf("column %d reaches from %v to %v, not from %v to %v", column, l, h, low, high)
		}
	}
	if got := thin(curve[:50]); len(got) != 50 {
		t.Errorf("of a short curve %d points are kept", len(got))
	}
}

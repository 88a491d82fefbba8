package page

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestHostileNames gives projects, iterations and tags names that try to run as script
// or to break the layout.
func TestHostileNames(t *testing.T) {
	hostile := []string{
		`</script><script>window.hacked = 1</script>`,
		`<img src=x onerror="window.hacked = 2">`,
		`" onmouseover="window.hacked = 3" x="`,
		`'; window.hacked = 4; //`,
		"\u202eright to left\u2066 and isolated",
		"مرحبا בעולם",
		strings.Repeat("long ", 100),
		"<!-- {{.}} ${window.hacked = 5} \u2028 \x01 -->",
	}
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		t.Run(string(kind), func(t *testing.T) {
			root := exported.Warehouse(t, simulated.Config{Seed: 6, Kind: kind, Images: 60, Iterations: 2, Tags: len(hostile)})
			var list []string
			for _, name := range hostile {
				list = append(list, "'"+strings.ReplaceAll(name, "'", "''")+"'")
			}
			names := "[" + strings.Join(list, ", ") + "]"
			// A tag's number, by the name that the simulated service gave it.
			number := `CASE WHEN tag_name LIKE 'tag %' THEN CAST(substr(tag_name, 5) AS INTEGER) ELSE list_position(['scissors', 'fork', 'Löffel', 'спутник', '猫', 'paper "A4"', 'stone, flat', 'rope'], tag_name) END`
			for _, table := range []string{"predictions", "tags", "regions", "tag_performance"} {
				if table == "regions" && kind != simulated.Detection {
					continue
				}
				exported.Rewrite(t, root, table, names+"["+number+"] AS tag_name")
			}
			exported.Rewrite(t, root, "exports", names+"[1] AS project_name", names+"[2] AS iteration_name", names+"[7] AS publish_name")
			url := "file://" + htmlReport(t, root)
			b := newTab(t)
			b.look(390, "light")
			b.open(url)
			b.press("#threshold", left, left)
			b.drawn("0.4")
			if got := read[int](b, `window.hacked ?? 0`); got != 0 {
				t.Errorf("name number %d ran", got)
			}
			shown := read[[]string](b, `[...document.querySelectorAll("#tags-table tbody th bdi")].map((e) => e.textContent)`)
			for _, name := range hostile {
				found := false
				for _, s := range shown {
					found = found || s == name || s == printable.Line(name)
				}
				if !found {
					t.Errorf("the name %q is not shown as text: %q", name, shown)
				}
			}
			if got := read[string](b, `document.getElementById("project").textContent`); got != hostile[0] {
				t.Errorf("the project is called %q", got)
			}
			if got := read[string](b, `document.title`); got != hostile[0]+", "+hostile[1] {
				t.Errorf("the title is %q", got)
			}
			if wide := read[int](b, `document.documentElement.scrollWidth`); wide > 390 {
				t.Errorf("on a phone the page is %d pixels wide", wide)
			}
			b.accessible()
			b.quiet(url)
		})
	}
}

// TestLittle shows projects with very little data.
func TestLittle(t *testing.T) {
	for name, tc := range map[string]struct {
		config  simulated.Config
		says    string // by the page
		missing []string
	}{
		"no images":     {simulated.Config{Images: 0, Iterations: 1}, "", []string{"#trend"}},
		"one tag":       {simulated.Config{Kind: simulated.Multiclass, Images: 40, Iterations: 2, Tags: 1}, "What changed?", []string{"#curve-choice"}},
		"one box":       {simulated.Config{Kind: simulated.Detection, Images: 40, Iterations: 1, Tags: 1}, "There is no other iteration to compare with", []string{"#trend", "#broken"}},
		"one image":     {simulated.Config{Kind: simulated.Multilabel, Images: 1, Iterations: 3}, "Over all iterations", nil},
		"empty compare": {simulated.Config{Kind: simulated.Detection, Images: 3, Iterations: 2, Predictions: 1}, "What changed?", nil},
	} {
		t.Run(name, func(t *testing.T) {
			url := "file://" + htmlReport(t, exported.Warehouse(t, tc.config))
			b := newTab(t)
			b.look(1280, "dark")
			b.open(url)
			if text := b.text("body"); !strings.Contains(text, tc.says) {
				t.Errorf("the page does not say %q: %s", tc.says, text)
			}
			for _, selector := range tc.missing {
				if read[bool](b, `document.querySelector(`+quoted(selector)+`).checkVisibility()`) {
					t.Errorf("%s is shown", selector)
				}
			}
			if text := b.text("main"); strings.Contains(text, "NaN") || strings.Contains(text, "undefined") || strings.Contains(text, "[object") {
				t.Errorf("the page says %s", text)
			}
			b.accessible()
			b.quiet(url)
		})
	}
}

// TestNothingTagged shows an iteration whose images have neither labels nor predictions.
func TestNothingTagged(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: 5})
	for _, table := range []string{"predictions", "tags", "regions", "tag_performance"} {
		exported.Empty(t, root, table)
	}
	url := "file://" + htmlReport(t, root)
	b := newTab(t)
	b.open(url)
	if said := b.text("#nothing"); !strings.HasPrefix(said, "None of the 5 images has a label or a prediction") {
		t.Errorf("the page says %q", said)
	}
	b.accessible()
	b.quiet(url)
}

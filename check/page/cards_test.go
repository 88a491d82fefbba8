package page

import (
	"fmt"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestCards checks all cards of a detector: what they emphasise, and that no labels
// overlap.
func TestCards(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 5, Kind: simulated.Detection, Images: 200, Iterations: 2, Predictions: 12, Regions: 6})
	url := "file://" + htmlReport(t, root)
	db := exported.Open(t, root)
	exported.InMemory(t, db)
	v := newViews(t, db)
	b := newTab(t)
	b.look(1280, "light")
	b.open(url)
	read[int](b, `(() => { const all = document.querySelectorAll(".unfold"); all.forEach((e) => e.click()); return all.length })()`)
	b.openEverything()
	v.threshold = 0.5
	pictures(b, v)
	flow(b, v)
	// The comparisons above covered every kind of box, on some cards and not on others.
	for _, c := range []struct {
		selector string
		min      int
	}{
		{"#suspects .card", 11},
		{"#broken rect.wrong:not(.thin)", 1}, {"#broken rect.missed:not(.thin)", 1}, {"#broken rect.thin", 1},
		{"#fixed rect.before", 1}, {"#fixed rect.right:not(.thin)", 1}, {"#fixed rect.thin", 1},
		{"#fixed .card:not(:has(rect.before))", 1}, {".picture text", 50},
	} {
		if n := read[int](b, "document.querySelectorAll("+quoted(c.selector)+").length"); n < c.min {
			t.Errorf("there are %d of %s, want %d or more", n, c.selector, c.min)
		}
	}
	for _, list := range []string{"hardest", "suspects", "broken", "fixed"} {
		if n := read[[]int](b, fmt.Sprintf(`["#%s-table tbody tr", "#%[1]s .card"].map((s) => document.querySelectorAll(s).length)`, list)); n[0] != n[1] || n[0] == 0 {
			t.Errorf("%s has %d rows in the table and %d cards", list, n[0], n[1])
		}
	}
	looks := read[map[string][]float64](b, `Object.fromEntries(["thin", "labelled", "missed", "right", "wrong", "before"].map((kind) => {
		const style = getComputedStyle(document.querySelector(kind === "thin" ? "rect.thin" : ".card rect." + kind + ":not(.thin)"));
		return [kind, [parseFloat(style.strokeWidth), Number(style.opacity), parseFloat(style.strokeDasharray) || 0]] }))`)
	for kind, look := range looks {
		if thin := looks["thin"]; kind != "thin" && (look[0] <= thin[0] || look[1] <= thin[1]) {
			t.Errorf("a %s box is not stronger than a thin one: %v, %v", kind, look, thin)
		}
	}
	if looks["before"][2] == 0 || looks["before"][2] >= looks["wrong"][2] {
		t.Errorf("a box that was wrong before is not dotted: %v", looks)
	}
	overlapping := read[int](b, `[...document.querySelectorAll(".picture")].filter((p) => {
		const r = [...p.querySelectorAll("text")].map((e) => e.getBoundingClientRect());
		return r.some((a, n) => r.slice(n + 1).some((b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 6)) }).length`)
	if overlapping > 0 {
		t.Errorf("labels overlap in %d pictures", overlapping)
	}
	b.faultless()
	b.quiet(url)
}

package check

import (
	"fmt"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestCards looks at what the cards of boxes show strongly, and whether their texts
// can be read.
func TestCards(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 5, Kind: simulated.Detection, Images: 200, Iterations: 2, Predictions: 12, Regions: 6})
	url := "file://" + htmlReport(t, root)
	b := newTab(t)
	b.look(1280, "light")
	b.open(url)
	read[int](b, `(() => { const all = document.querySelectorAll(".unfold"); all.forEach((e) => e.click()); return all.length })()`)
	b.openEverything()
	const strong = `[...c.querySelectorAll(".picture rect:not(.outline):not(.halo):not(.thin)")]`
	const data = `JSON.parse(document.getElementById("data").textContent)`

	// A suspect is one prediction, and the label that it doubts.
	want := read[[]int](b, data+`.suspects[`+data+`.start].map((s) => (s[5] !== null) + (s[6] !== null))`)
	got := read[[]int](b, `[...document.querySelectorAll("#suspects .card")].map((c) => `+strong+`.length)`)
	if fmt.Sprint(got) != fmt.Sprint(want) || len(got) < 10 {
		t.Errorf("the suspects' cards show %v boxes strongly, they are about %v", got, want)
	}
	// What is broken or fixed is all boxes of a tag; what is wrong now or was is there.
	for list, count := range map[string][2]string{"broken": {"Now", "wrong"}, "fixed": {"Before", "before"}} {
		bad := read[[]string](b, fmt.Sprintf(`[...document.querySelectorAll("#%s .card")].filter((c) => {
			const said = [...c.querySelectorAll("p")].map((p) => p.innerText).find((p) => p.startsWith(%q)), n = Number(/(\d+) wrong/.exec(said)?.[1] ?? 0);
			return c.querySelectorAll(".picture rect.%s:not(.thin)").length !== n }).map((c) => c.innerText)`, list, count[0]+":", count[1]))
		if len(bad) > 0 {
			t.Errorf("of what is %s these lack a box, or have one too many: %q", list, bad)
		}
		wrong := read[int](b, fmt.Sprintf(`[...document.querySelectorAll("#%s .card rect.%s:not(.thin)")].length`, list, count[1]))
		missed := read[int](b, fmt.Sprintf(`[...document.querySelectorAll("#%s .card")].filter((c) => /missed/.test(c.innerText)).length`, list))
		if wrong == 0 || missed == 0 {
			t.Errorf("of what is %s, %d boxes are wrong, and %d cards are of missed ones", list, wrong, missed)
		}
		if rows := read[[2]int](b, fmt.Sprintf(`["tbody tr", ""].map((s) => s ? document.querySelectorAll("#%s-table " + s).length : document.querySelectorAll("#%[1]s .card").length)`, list)); rows[0] != rows[1] || rows[0] == 0 {
			t.Errorf("of what is %s, %d are in the table and %d are cards", list, rows[0], rows[1])
		}
	}
	if texts := read[int](b, `document.querySelectorAll(".picture text").length`); texts < 50 {
		t.Errorf("there are %d texts", texts)
	}
	met := read[int](b, `[...document.querySelectorAll(".picture")].filter((p) => {
		const r = [...p.querySelectorAll("text")].map((e) => e.getBoundingClientRect());
		return r.some((a, n) => r.slice(n + 1).some((b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 6)) }).length`)
	if met > 0 {
		t.Errorf("in %d pictures texts meet", met)
	}

	counts := read[[]int](b, data+`.changes[`+data+`.start].counts`)
	said := read[string](b, `[...document.querySelectorAll("#changes-flow .ends span, #changes-flow text")].map((e) => e.textContent).join("; ")`)
	if want := fmt.Sprintf("Before: Iteration 1; Now: Iteration 2; %d right; %d wrong; %d right; %d wrong; broken %[6]d; fixed %[5]d",
		counts[2]+counts[1], counts[0]+counts[3], counts[2]+counts[0], counts[1]+counts[3], counts[0], counts[1]); said != want {
		t.Errorf("the flow says %q, not %q", said, want)
	}
	b.faultless()
	b.quiet(url)
}

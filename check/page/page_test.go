package page

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestPage uses the page of each kind of project with the keyboard, and compares every
// figure with the views.
func TestPage(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.Multiclass, simulated.Multilabel, simulated.Detection} {
		t.Run(string(kind), func(t *testing.T) {
			root := exported.Warehouse(t, simulated.Config{Seed: 5, Kind: kind, Images: 300, Iterations: 3})
			for _, table := range []string{"images", "predictions", "tags", "regions"} {
				if table != "regions" || kind == simulated.Detection {
					exported.Keep(t, root, table, "hash(image_id, iteration_id) % 10 > 0") // each has images of its own
				}
			}
			url := "file://" + htmlReport(t, root)
			db := exported.Open(t, root)
			exported.InMemory(t, db)
			v := newViews(t, db)
			b := newTab(t)
			b.look(1280, "light")
			b.open(url)

			figures(b, v, 0.5)
			before := b.text("#tiles")
			b.press("#threshold", right, right, right)
			b.drawn("0.65")
			figures(b, v, 0.65)
			if said := b.text("#live"); !strings.HasPrefix(said, "At threshold 0.65: precision ") {
				t.Errorf("a screen reader says %q", said)
			}
			b.press("#threshold", slices.Repeat([]string{left}, 9)...)
			b.drawn("0.2")
			figures(b, v, 0.2)
			b.press("#threshold-reset", enter)
			b.drawn("0.5")
			if after := b.text("#tiles"); after != before {
				t.Errorf("back at 0.5 the page says %q, not %q", after, before)
			}

			sorting(b)
			keyboard(b)
			b.accessible()
			b.look(390, "dark")
			b.open(url)
			b.accessible()
			if wide := read[int](b, `document.documentElement.scrollWidth`); wide > 390 {
				t.Errorf("on a phone the page is %d pixels wide", wide)
			}
			b.quiet(url)
		})
	}
}

// sorting sorts the table of tags with the keyboard.
func sorting(b *tab) {
	b.Helper()
	column := `[...document.querySelectorAll("#tags-table tbody tr")].map((r) => Number(r.cells[1].innerText.replaceAll(",", "")))`
	for _, way := range []struct {
		name string
		less func(a, b int) bool
	}{{"descending", func(a, b int) bool { return a >= b }}, {"ascending", func(a, b int) bool { return a <= b }}} {
		b.press("#tags-table thead th:nth-child(2) button", enter)
		b.wait(`document.querySelector("#tags-table thead th:nth-child(2)").getAttribute("aria-sort") === ` + quoted(way.name))
		labels := read[[]int](b, column)
		for n := 1; n < len(labels); n++ {
			if !way.less(labels[n-1], labels[n]) {
				b.Errorf("sorted %s by labels: %v", way.name, labels)
			}
		}
		if focus := read[string](b, `document.activeElement.closest("th")?.innerText ?? ""`); !strings.Contains(focus, "Labels") {
			b.Errorf("after sorting, %q has the focus", focus)
		}
	}
}

// keyboard moves the cursors of both charts, selects a tag, and opens details and more
// cards.
func keyboard(b *tab) {
	b.Helper()
	b.press("#trend-chart .cursor", left)
	b.wait(`document.getElementById("trend-readout").textContent.startsWith("Iteration 2 ")`)
	b.press("", left, left)
	b.wait(`document.getElementById("trend-readout").textContent.startsWith("Iteration 1 ")`)
	if said := read[string](b, `document.querySelector("#trend-chart .cursor").getAttribute("aria-valuetext")`); !strings.Contains(said, "Iteration 1") {
		b.Errorf("for a screen reader the trend's cursor is at %q", said)
	}
	before := b.text("#curve-readout")
	b.press("#curve-chart .cursor", end)
	b.wait(`document.getElementById("curve-readout").innerText !== ` + quoted(before))
	tag := read[string](b, `document.querySelector("#tags-table tbody tr:not(.marked) button").innerText`)
	b.press("#tags-table tbody tr:not(.marked) button", enter)
	b.wait(`document.getElementById("curve-readout").innerText.startsWith(` + quoted(tag) + `)`)
	b.press("#trend summary", enter)
	b.wait(`document.querySelector("#trend details").open`)
	if rows := read[int](b, `document.querySelectorAll("#trend-table tbody tr").length`); rows != 3 {
		b.Errorf("the trend's table has %d rows, not one for each iteration", rows)
	}
	more := read[int](b, `document.querySelectorAll("#hardest .card").length`)
	b.press("#hardest .unfold", enter)
	b.wait(`document.querySelectorAll("#hardest .card").length > ` + strconv.Itoa(more))
}

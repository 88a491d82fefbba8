package check

import (
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

const narrow = "\u202f"

// percent writes a share as the page does, which rounds a tie up.
func percent(f float64) string {
	f *= 100
	if math.Mod(f*20, 2) == 1 {
		f += 0.05
	}
	return strconv.FormatFloat(f, 'f', 1, 64) + narrow + "%"
}

// TestPage uses the page of each kind of project as a reader does.
func TestPage(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.Multiclass, simulated.Multilabel, simulated.Detection} {
		t.Run(string(kind), func(t *testing.T) {
			root := exported.Warehouse(t, simulated.Config{Seed: 5, Kind: kind, Images: 300, Iterations: 3})
			url := "file://" + htmlReport(t, root)
			db := exported.Open(t, root)
			b := newTab(t)
			b.look(1280, "light")
			b.open(url)

			figures(b, db, 0.5)
			before := b.text("#tiles")
			b.press("#threshold", right, right, right)
			b.drawn("0.65")
			figures(b, db, 0.65)
			if said := b.text("#live"); !strings.HasPrefix(said, "At threshold 0.65: precision ") {
				t.Errorf("a screen reader is told %q", said)
			}
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

// figures compares what is shown with what the views say.
func figures(b *tab, db *sql.DB, threshold float64) {
	b.Helper()
	var shown, before string
	row := db.QueryRowContext(b.ctx, `SELECT max_by(iteration_id, trained_at), (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1 OFFSET 1) FROM exports`)
	if err := row.Scan(&shown, &before); err != nil {
		b.Fatal(err)
	}
	number := func(query string) (f float64) {
		b.Helper()
		if err := db.QueryRowContext(b.ctx, query).Scan(&f); err != nil {
			b.Fatalf("%v, in %s", err, query)
		}
		return f
	}
	tiles := read[[]string](b, `[...document.querySelectorAll(".tile")].map((t) => t.innerText)`)
	for n, figure := range []string{"precision", "recall", "f1"} {
		of := func(id string) float64 {
			return number(fmt.Sprintf("SELECT %s FROM tag_metrics(%v, 0.3) WHERE scope = 'micro' AND iteration_id = '%s'", figure, threshold, id))
		}
		if now := of(shown); !strings.Contains(tiles[n], percent(now)) {
			b.Errorf("%s at %v is %s, the page says %q", figure, threshold, percent(now), tiles[n])
		}
		if d := of(shown) - of(before); !strings.Contains(tiles[n], fmt.Sprintf("%.1f points", max(d, -d)*100)) {
			b.Errorf("%s at %v changed by %.1f, the page says %q", figure, threshold, d*100, tiles[n])
		}
	}
	for n, query := range map[int]string{
		0: "SELECT precision FROM exports WHERE iteration_id = '" + shown + "'",
		1: "SELECT recall FROM exports WHERE iteration_id = '" + shown + "'",
		3: "SELECT average_precision FROM average_precision(0.3) WHERE scope = 'macro' AND iteration_id = '" + shown + "'",
	} {
		if want := percent(number(query)); !strings.Contains(tiles[n], want) {
			b.Errorf("the page says %q, without %s", tiles[n], want)
		}
	}
	// The table of tags, row by row.
	table := read[map[string][]string](b, `Object.fromEntries([...document.querySelectorAll("#tags-table tbody tr")].map((r) => [...r.cells].map((c) => c.innerText)).map((c) => [c[0], [c[1], ...c.slice(9, 12), ...c.slice(2, 5)]]))`)
	rows, err := db.QueryContext(b.ctx, fmt.Sprintf("SELECT tag_name, labels, true_positives, false_positives, false_negatives, precision, recall, f1 FROM tag_metrics(%v, 0.3) WHERE scope = 'tag' AND iteration_id = '%s'", threshold, shown))
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	tags := 0
	for ; rows.Next(); tags++ {
		var name string
		var n [4]int
		var f [3]float64
		if err := rows.Scan(&name, &n[0], &n[1], &n[2], &n[3], &f[0], &f[1], &f[2]); err != nil {
			b.Fatal(err)
		}
		want := fmt.Sprint([]string{strconv.Itoa(n[0]), strconv.Itoa(n[1]), strconv.Itoa(n[2]), strconv.Itoa(n[3]), percent(f[0]), percent(f[1]), percent(f[2])})
		if got := fmt.Sprint(table[name]); got != want {
			b.Errorf("tag %s at %v: the page says %s, tag_metrics %s", name, threshold, got, want)
		}
	}
	if tags == 0 || tags != len(table) {
		b.Errorf("the page has %d tags, tag_metrics %d", len(table), tags)
	}
	// The matrix, cell by cell in the order of the page, and what changed.
	cells := read[int](b, `[...document.querySelectorAll("#confusion-matrix td")].reduce((sum, c) => sum + Number(c.innerText.replaceAll(",", "")), 0)`)
	if want := number(fmt.Sprintf("SELECT sum(cases) FROM confusion(%v, 0.3) WHERE iteration_id = '%s'", threshold, shown)); cells != int(want) {
		b.Errorf("the matrix at %v has %d cases, confusion %v", threshold, cells, want)
	}
	project := ""
	if err := db.QueryRowContext(b.ctx, "SELECT any_value(project_id) FROM exports").Scan(&project); err != nil {
		b.Fatal(err)
	}
	for _, change := range []string{"fixed", "broken"} {
		want := int(number(fmt.Sprintf("SELECT count(*) FROM iteration_changes('%s', '%s', '%s', %v, 0.3) WHERE change = '%s'", project, before, shown, threshold, change)))
		if said := b.text("#" + change + "-count"); !strings.HasPrefix(said, strconv.Itoa(want)) {
			b.Errorf("%d are %s at %v, the page says %q", want, change, threshold, said)
		}
	}
	var image string
	if err := db.QueryRowContext(b.ctx, fmt.Sprintf("SELECT image_id FROM hardest_images(%v, 0.3) WHERE iteration_id = '%s' AND place = 1", threshold, shown)).Scan(&image); err != nil {
		b.Fatal(err)
	}
	if card := b.text("#hardest .card"); !strings.Contains(card, image) {
		b.Errorf("the hardest image at %v is %s, the page says %q", threshold, image, card)
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

// keyboard moves the cursors of both charts and opens what is one key away.
func keyboard(b *tab) {
	b.Helper()
	b.press("#trend-chart .cursor", left)
	b.wait(`document.getElementById("trend-readout").textContent.startsWith("Iteration 2 ")`)
	b.press("", left, left)
	b.wait(`document.getElementById("trend-readout").textContent.startsWith("Iteration 1 ")`)
	if said := read[string](b, `document.querySelector("#trend-chart .cursor").getAttribute("aria-valuetext")`); !strings.Contains(said, "Iteration 1") {
		b.Errorf("the trend's cursor tells a screen reader %q", said)
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
		b.Errorf("the trend's table has %d rows, not one an iteration", rows)
	}
	more := read[int](b, `document.querySelectorAll("#hardest .card").length`)
	b.press("#hardest .unfold", enter)
	b.wait(`document.querySelectorAll("#hardest .card").length > ` + strconv.Itoa(more))
}

package page

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestPrint lays pages out for paper, with all details open: nothing is cut off at the
// right, where A4 ends at 703 pixels within its margins and Letter at 725.
func TestPrint(t *testing.T) {
	for name, config := range map[string]simulated.Config{
		"few tags":  {Seed: 5, Kind: simulated.Detection, Images: 100, Iterations: 3},
		"some tags": {Seed: 5, Kind: simulated.Detection, Images: 100, Iterations: 2, Tags: 20},
		"many tags": {Seed: 5, Kind: simulated.Multilabel, Images: 1200, Iterations: 2, Tags: 50},
	} {
		root := exported.Warehouse(t, config)
		for _, table := range []string{"predictions", "tag_performance"} {
			exported.Rewrite(t, root, table, "CASE WHEN tag_name IN ('fork', 'scissors') THEN concat(tag_name, ' with a name that is far too long for any column') ELSE tag_name END AS tag_name")
		}
		url := "file://" + htmlReport(t, root)
		b := newTab(t)
		b.look(680, "dark")
		b.do(func(ctx context.Context, target *chromedp.Target) error {
			_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: "print"})
			return err
		})
		b.open(url)
		b.openEverything()
		cut := read[[]string](b, `[...document.querySelectorAll("table, .tiles, .cards, .chart svg, .flow svg")].filter((e) => e.checkVisibility() && (e.getBoundingClientRect().right > 680.5 || e.parentElement.scrollWidth > 680)).map((e) => (e.parentElement.id || e.className) + " ends at " + e.getBoundingClientRect().right)`)
		if len(cut) > 0 {
			t.Errorf("%s: paper ends at 680, but %q", name, cut)
		}
		if columns := read[string](b, `[...document.querySelectorAll("#tags-table th[scope=col]")].filter((e) => e.checkVisibility()).map((e) => e.innerText).join()`); columns == "" {
			t.Errorf("%s: the table of tags is not printed", name)
		}
		if large := read[[]float64](b, `(() => { const body = parseFloat(getComputedStyle(document.body).fontSize);
			return [...document.querySelectorAll(".chart text")].map((e) => e.getBoundingClientRect().height / 1.2).filter((size) => size > body) })()`); len(large) > 0 {
			t.Errorf("%s: charts have texts of %v pixels, larger than the page's", name, large)
		}
		if matrix := read[bool](b, `document.querySelector("#confusion-matrix table").checkVisibility()`); matrix != (config.Tags <= 20) {
			t.Errorf("%s: the matrix is printed: %t", name, matrix)
		}
		b.quiet(url)
		// No page ends between a heading or its first sentence and what follows.
		if loose := read[[]string](b, `[...document.querySelectorAll("h2, h3:not(.card h3), .lead, .legends")].filter((e) => getComputedStyle(e).breakAfter !== "avoid").map((e) => e.outerHTML.slice(0, 80))`); len(loose) > 0 {
			t.Errorf("%s: a page may end after %q", name, loose)
		}
	}
}

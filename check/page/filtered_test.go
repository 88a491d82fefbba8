package page

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// A page with figures of an export that is limited to some tags says so on top, and beside
// the iteration's name; another page does not.
func TestFilteredExport(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 6, Images: 40, Iterations: 2})
	limited := func(b *tab) string {
		return read[string](b, `document.querySelector("#limited").checkVisibility() ? document.querySelector("#limited").innerText : ""`)
	}
	b := newTab(t)
	b.look(390, "light")
	b.open("file://" + htmlReport(t, root))
	if text := limited(b); text != "" {
		t.Errorf("the page of whole exports says %q", text)
	}
	exported.Rewrite(t, root, "exports", "CASE WHEN iteration_name = 'Iteration 1' THEN [export_id] ELSE [] END AS tag_filter")
	b.open("file://" + htmlReport(t, root))
	if text := limited(b); !strings.Contains(text, "Filtered: the export of Iteration 1 was limited to images with some tags.") {
		t.Errorf("the page says %q", text)
	}
	if text := read[string](b, `document.querySelector("#subject").innerText`); !strings.Contains(text, "compared with Iteration 1 (filtered)") {
		t.Errorf("the page is about %q", text)
	}
}

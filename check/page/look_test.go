package page

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// openEverything opens all details.
func (b *tab) openEverything() {
	b.Helper()
	read[int](b, `(() => { const all = document.querySelectorAll("details"); all.forEach((d) => { d.open = true }); return all.length })()`)
	b.wait(`document.querySelector("#confusion-matrix").checkVisibility() === false || document.querySelector("#confusion-matrix table") !== null`)
}

// wide lists the tables that are wider than their place, each with both widths.
const wide = `[...document.querySelectorAll(".scroll")].filter((p) => p.checkVisibility() && p.scrollWidth > p.clientWidth).map((p) => p.id + " " + p.scrollWidth + " in " + p.clientWidth)`

// TestSliderAndCurve moves the slider after the pointer has been on the curve: the curve's
// readout follows the slider again.
func TestSliderAndCurve(t *testing.T) {
	url := "file://" + htmlReport(t, exported.Warehouse(t, simulated.Config{Seed: 5, Kind: simulated.Multilabel, Images: 200, Iterations: 2}))
	b := newTab(t)
	b.look(1280, "light")
	b.open(url)
	hover := func(kind, pointer string) string {
		return read[string](b, fmt.Sprintf(`(() => { const c = document.querySelector("#curve-chart .cursor"), r = c.getBoundingClientRect();
			c.dispatchEvent(new PointerEvent(%q, {clientX: r.left + r.width * 0.3, clientY: r.top + 20, pointerType: %q}));
			return document.querySelector("#curve-readout").innerText })()`, kind, pointer))
	}
	agrees := func(threshold string) {
		t.Helper()
		said := b.text("#curve-readout")
		_, figures, _ := strings.Cut(b.text("#curve-key"), "at threshold "+threshold+": ")
		figures, _, _ = strings.Cut(figures, "\n")
		if !strings.Contains(said, "with the slider's threshold "+threshold+",") || strings.ReplaceAll(figures, ", recall", " and recall") != said[strings.Index(said, "precision "):] {
			t.Errorf("at threshold %s the curve says %q, its key %q", threshold, said, figures)
		}
	}
	agrees("0.5")
	for _, pointer := range []string{"touch", "mouse"} {
		if said := hover("pointermove", pointer); strings.Contains(said, "slider") {
			t.Fatalf("under the pointer the curve says %q", said)
		}
		b.press("#threshold", left)
		b.drawn("0.45")
		agrees("0.45")
		b.press("#threshold", right)
		b.drawn("0.5")
		hover("pointermove", pointer)
		b.press("#tags-table tbody tr:not(.marked) button", enter)
		b.wait(`document.querySelector("#curve-readout").innerText.includes("slider")`)
		agrees("0.5")
	}
	hover("pointermove", "mouse")
	hover("pointerleave", "mouse")
	agrees("0.5")
	b.quiet(url)
}

// TestManyTags checks the layout with 20 iterations with wide names and 50 tags, some of
// which have invisible names.
func TestManyTags(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 6, Images: 150, Iterations: 20, Tags: 50})
	for _, table := range []string{"predictions", "tags", "tag_performance"} {
		exported.Rewrite(t, root, table, "CASE tag_name WHEN 'tag 20' THEN '' WHEN 'tag 21' THEN concat(' ', chr(8203)) WHEN 'tag 22' THEN repeat('W ', 100) ELSE tag_name END AS tag_name")
	}
	exported.Rewrite(t, root, "exports", "replace(iteration_name, 'Iteration', 'WWWWWWW') AS iteration_name")
	url := "file://" + htmlReport(t, root)
	b := newTab(t)
	b.look(390, "dark")
	b.open(url)
	const overlap = `(() => { const r = [...document.querySelectorAll("#%s text.across")].map((e) => e.getBoundingClientRect());
		return r.length < 2 || r.some((x, n) => x.left < 0 || x.right > innerWidth || (n > 0 && x.left < r[n - 1].right + 2)) })()`
	for _, chart := range []string{"trend-chart", "curve-chart"} {
		if read[bool](b, fmt.Sprintf(overlap, chart)) {
			t.Errorf("labels of %s overlap, are cut or are missing", chart)
		}
	}
	if n := read[int](b, `[...document.querySelectorAll("#tags-table tbody th button")].filter((e) => e.innerText === "(no name)" && e.getBoundingClientRect().width > 20).length`); n != 2 {
		t.Errorf("%d tags are shown as (no name), want 2", n)
	}
	// The sticky bar covers no heading that is scrolled to.
	if covered := read[[]string](b, `[...document.querySelectorAll("h2")].filter((h) => { if (!h.checkVisibility()) return false; h.scrollIntoView(); return h.getBoundingClientRect().top < document.querySelector("#bar").getBoundingClientRect().bottom }).map((h) => h.innerText)`); len(covered) > 0 {
		t.Errorf("the bar covers %q", covered)
	}
	stays := read[bool](b, `(() => { const p = document.querySelector("#tags-table"); p.scrollLeft = 200; return Math.abs(p.querySelector("tbody th").getBoundingClientRect().left - p.getBoundingClientRect().left) < 2 })()`)
	if !stays {
		t.Error("on a phone the tags' names scroll out of view")
	}
	b.openEverything()
	matrix := read[[]float64](b, `(() => { const p = document.querySelector("#confusion-matrix"), at = (s) => p.querySelector(s).getBoundingClientRect();
		return [at("caption span").right, at("thead th:nth-child(2)").right, at("tbody td:nth-child(9)").width] })()`)
	if matrix[0] > 390 || matrix[1] > 390 || matrix[2] > 30 {
		t.Errorf("on a phone the matrix's caption ends at %v, its column missed at %v, and others are %v wide", matrix[0], matrix[1], matrix[2])
	}
	if head := b.text("#confusion-matrix thead th:nth-child(2)"); head != "missed" {
		t.Errorf("the matrix begins with %q", head)
	}
	b.faultless()
	if apart := read[bool](b, `(() => { const [a, b] = [...document.querySelectorAll("#changes-flow .ends span")].map((e) => e.getBoundingClientRect()); return a.right < b.left && b.right <= 390 })()`); !apart {
		t.Error("the names of the flow's sides overlap")
	}
	b.look(1280, "light")
	b.open(url)
	if tables := read[[]string](b, wide); len(tables) > 0 {
		t.Errorf("on a desktop these do not fit: %q", tables)
	}
	b.quiet(url)
}

// TestVerdict goes through all thresholds: the page says better or worse only of a
// difference that chance does not explain, and the same wherever the slider is.
func TestVerdict(t *testing.T) {
	said := map[string]bool{}
	root := exported.Warehouse(t, simulated.Config{Seed: 9, Kind: simulated.Multilabel, Images: 150, Iterations: 16})
	list := read[[]string](opened(t, htmlReport(t, root)), `JSON.parse(document.getElementById("data").textContent).iterations.map((i) => i.id)`)
	few := exported.Warehouse(t, simulated.Config{Seed: 9, Kind: simulated.Multiclass, Images: 5, Iterations: 2})
	for _, tc := range []struct {
		root      string
		arguments []string
		images    int
	}{
		{root, []string{"--iteration", list[15], "--compare", list[14]}, 150},
		{root, []string{"--iteration", list[15], "--compare", list[0]}, 150},
		{root, []string{"--iteration", list[0], "--compare", list[15]}, 150},
		{root, []string{"--iteration", list[1], "--compare", list[0], "--threshold", "0.123"}, 150},
		{few, nil, 5},
	} {
		b := opened(t, htmlReport(t, tc.root, tc.arguments...))
		const data = `JSON.parse(document.getElementById("data").textContent)`
		type verdict struct {
			P                     float64
			Differ, Fixed, Broken int
		}
		v := read[verdict](b, data+".verdict")
		at := read[string](b, `String(`+data+`.thresholds[`+data+`.start])`)
		f1 := read[float64](b, `(({before, now}) => now.micro[5] - before.micro[5])(`+data+`.shared[`+data+`.start])`)
		want := "Mixed against "
		switch {
		case v.Differ < 6:
			want = "Too few images differ to say whether it is better than "
		case v.P > 0.05:
			want = "No clear difference from "
		case v.Fixed > v.Broken && f1 >= 0:
			want = "Better than "
		case v.Fixed < v.Broken && f1 <= 0:
			want = "Worse than "
		}
		said[want] = true
		lead := b.text("#headline-lead")
		for _, part := range []string{want, " at threshold " + at + ": ", fmt.Sprintf("%d fixed and %d broken on the %d images that both judged", v.Fixed, v.Broken, tc.images)} {
			if !strings.Contains(lead, part) {
				t.Errorf("%+v and F1 %+.3f are reported as %q, without %q", v, f1, lead, part)
			}
		}
		if !strings.HasPrefix(lead, want) || strings.Contains(lead, "p = ") == (v.Differ < 6 || v.P < 0.0001) {
			t.Errorf("%+v and F1 %+.3f are reported as %q, want %q", v, f1, lead, want)
		}
		for n, threshold := range read[[]float64](b, data+`.thresholds`) {
			read[bool](b, fmt.Sprintf(`(() => { const e = document.querySelector("#threshold"); e.value = %d; return e.dispatchEvent(new Event("input")) })()`, n))
			b.drawn(fmt.Sprint(threshold))
			if now := b.text("#headline-lead"); now != lead {
				t.Errorf("with the slider at %v the verdict is %q, not %q", threshold, now, lead)
			}
		}
		if note := b.text("#headline-note"); !strings.Contains(note, "exact sign-flip test") || !strings.Contains(note, "at threshold "+at+" alone") {
			t.Errorf("the note does not explain the rule: %q", note)
		}
	}
	for _, word := range []string{"Better than ", "Worse than ", "No clear difference from ", "Too few images differ to say whether it is better than "} {
		if !said[word] {
			t.Errorf("no page says %q, only %v", word, said)
		}
	}
}

// TestNothingShared compares iterations that have no image in common.
func TestNothingShared(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 9, Kind: simulated.Multiclass, Images: 60, Iterations: 2})
	for _, table := range []string{"images", "predictions", "tags"} {
		exported.Keep(t, root, table, "(hash(image_id) % 2 = 0) = (iteration_id = (SELECT min(iteration_id) FROM read_parquet('"+root+"/exports/*/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)))")
	}
	b := opened(t, htmlReport(t, root))
	if lead := b.text("#headline-lead"); !strings.HasPrefix(lead, "No verdict: no image is in both. At threshold 0.5 F1 is ") || !strings.Contains(lead, "% on its own images, that of Iteration 1 ") {
		t.Errorf("the page says %q", lead)
	}
	if lead := b.text("#changes-lead"); lead != "There is nothing to compare: no image is in both." {
		t.Errorf("the page says %q", lead)
	}
	if main := b.text("main"); strings.Contains(main, "points") || strings.Contains(main, "NaN") || strings.Contains(main, "undefined") {
		t.Errorf("the page says %s", main)
	}
	b.faultless()
}

func opened(t *testing.T, path string) *tab {
	t.Helper()
	b := newTab(t)
	b.open("file://" + path)
	return b
}

// TestExtremes shows probabilities with too many digits to write out.
func TestExtremes(t *testing.T) {
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		root := exported.Warehouse(t, simulated.Config{Seed: 7, Kind: kind, Images: 80, Iterations: 2})
		exported.Rewrite(t, root, "predictions", "CASE WHEN probability > 0.5 THEN 1 - (1 - probability) * 1e-4 ELSE probability * 1e-9 END AS probability")
		b := opened(t, htmlReport(t, root))
		b.openEverything()
		// Ids may contain any digits.
		text := read[string](b, `document.querySelectorAll("code").forEach((e) => e.remove()), document.querySelector("main").innerText`)
		for _, bad := range []string{"e-", "100.0" + narrow + "% sure", "probability 1\n", "threshold 1,", "\n1\t"} {
			if at := strings.Index(text, bad); at >= 0 {
				t.Errorf("%s: the page says %q", kind, text[max(0, at-40):min(len(text), at+40)])
			}
		}
		if !strings.Contains(text, "> 0.999") || !strings.Contains(text, "is predicted with > 99.9"+narrow+"%") {
			t.Errorf("%s: a probability near 1 is not shown as > 0.999", kind)
		}
	}
}

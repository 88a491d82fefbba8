package page

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/chromedp/chromedp/kb"
)

// flow checks the flow chart of the changes: its texts, and that the thickness of its
// bands is in proportion.
func flow(b *tab, v *views) {
	b.Helper()
	n := map[string]float64{}
	for _, r := range v.ask("SELECT replace(change, '_', '-'), COUNT(*) FROM {changes} GROUP BY change") {
		n[r[0].(string)] = r[1].(float64)
	}
	said := read[string](b, `document.querySelector("#changes-flow svg").getAttribute("aria-label")`)
	for _, c := range []struct {
		says string
		want float64
	}{
		{`(?i)right before: (\d+)`, n["still-right"] + n["broken"]}, {`(\d+) are broken`, n["broken"]},
		{`(?i)wrong before: (\d+)`, n["still-wrong"] + n["fixed"]}, {`(\d+) are fixed`, n["fixed"]},
		{`(?i)right now: (\d+)`, n["still-right"] + n["fixed"]}, {`(?i)wrong now: (\d+)`, n["still-wrong"] + n["broken"]},
	} {
		if got := regexp.MustCompile(c.says).FindStringSubmatch(said); got == nil || got[1] != fmt.Sprint(c.want) {
			b.Errorf("%s: the flow says %q, iteration_changes %v", c.says, said, c.want)
		}
	}
	names := v.one("SELECT max(iteration_name) FILTER (iteration_id = {before}), max(iteration_name) FILTER (iteration_id = {shown}) FROM exports")
	sides := []float64{n["still-right"] + n["broken"], n["still-wrong"] + n["fixed"], n["still-right"] + n["fixed"], n["still-wrong"] + n["broken"]}
	want := []string{"Before: " + names[0].(string), "Now: " + names[1].(string)}
	for i, side := range sides {
		want = append(want, whole(side)+[]string{" right", " wrong"}[i%2])
	}
	for _, kind := range []string{"broken", "fixed"} {
		if n[kind] > 0 {
			want = append(want, kind+" "+whole(n[kind]))
		}
	}
	same(b, "the flow's texts", read[[]string](b, `[...document.querySelectorAll("#changes-flow .ends span, #changes-flow text")].map((e) => e.textContent)`), want)

	bands := read[map[string]struct {
		Title, D string
	}](b, `Object.fromEntries([...document.querySelectorAll("#changes-flow path")].map((p) => [p.getAttribute("class"), {title: p.querySelector("title").textContent, d: p.getAttribute("d")}]))`)
	all := n["fixed"] + n["broken"] + n["still-right"] + n["still-wrong"]
	unit := 0.0 // the thickness of one case
	for _, kind := range []string{"still-right", "still-wrong", "broken", "fixed"} {
		band, ok := bands[kind]
		if ok != (n[kind] > 0) || (ok && number.FindString(band.Title) != whole(n[kind])) {
			b.Errorf("%v are %s, the flow's band says %q", n[kind], kind, band.Title)
		}
		if !ok || n[kind] < all/50 { // thinner ones are drawn thicker than their share, to be seen
			continue
		}
		d := floats(band.D)
		if unit == 0 {
			unit = (d[8] - d[7]) / n[kind]
		}
		if thick := d[8] - d[7]; unit <= 0 || math.Abs(thick-n[kind]*unit) > 0.01 {
			b.Errorf("the band of %v that are %s is %v thick, not %v", n[kind], kind, thick, n[kind]*unit)
		}
	}
	high := read[[]float64](b, `[...document.querySelectorAll("#changes-flow rect")].map((r) => Number(r.getAttribute("height")))`)
	sides = slices.DeleteFunc(sides, func(side float64) bool { return side == 0 })
	if !slices.EqualFunc(high, sides, func(h, side float64) bool { return math.Abs(h-side*unit) < 0.01 }) {
		b.Errorf("the flow's sides of %v are %v high, a case %v", sides, high, unit)
	}
}

var float = regexp.MustCompile(`-?\d+(\.\d+)?(e-?\d+)?`)

func floats(text string) (all []float64) {
	for _, s := range float.FindAllString(text, -1) {
		f, _ := strconv.ParseFloat(s, 64)
		all = append(all, f)
	}
	return all
}

// trendChart checks the points of the chart, and what the readout says when the
// keyboard moves over them.
func trendChart(b *tab, v *views) {
	b.Helper()
	rows := v.ask(`SELECT m.precision, m.recall, m.f1, e.average_precision, e.iteration_name
FROM exports AS e JOIN tag_metrics{at} AS m USING (project_id, iteration_id) WHERE m.scope = 'micro' ORDER BY e.trained_at`)
	for n, look := range []string{"precision", "recall", "f1", "map"} {
		var want []string
		for x, r := range rows {
			if r[n] != nil {
				want = append(want, fmt.Sprintf("%d %.9f", x, r[n]))
			}
		}
		var got []string
		for _, p := range read[[]string](b, `[...document.querySelectorAll("#trend-chart .`+look+` .ct-point")].map((p) => p.getAttribute("ct:value"))`) {
			x, y, _ := strings.Cut(p, ",")
			f, _ := strconv.ParseFloat(y, 64)
			got = append(got, fmt.Sprintf("%s %.9f", x, f))
		}
		same(b, "the trend's "+look, got, want)
	}
	b.press("#trend-chart .cursor", kb.Home)
	for n, r := range rows {
		if n > 0 {
			b.press("", right)
		}
		said := read[string](b, `document.getElementById("trend-readout").textContent`)
		for _, want := range []string{r[4].(string), "precision " + percent(r[0]), "recall " + percent(r[1]), "F1 " + percent(r[2]), percent(r[3])} {
			if !strings.Contains(said, want) {
				b.Errorf("the trend's cursor says %q, without %s", said, want)
			}
		}
	}
}

// curve checks the precision-recall curve of the selected tag and of another: its
// points, and the dot at the slider's threshold.
func curve(b *tab, v *views) {
	b.Helper()
	selected := read[int](b, `document.getElementById("curve-tag").selectedIndex`)
	tags := read[int](b, `document.getElementById("curve-tag").options.length`)
	for _, at := range []int{(selected + 1) % tags, selected} { // selecting a tag moves the cursor to the slider's threshold
		name := read[string](b, fmt.Sprintf(`(() => { const s = document.getElementById("curve-tag"); s.selectedIndex = %d; s.dispatchEvent(new Event("change")); return s.selectedOptions[0].text; })()`, at))
		tag := "'" + strings.ReplaceAll(name, "'", "''") + "'"
		points := v.ask("SELECT recall, precision, probability FROM precision_recall_curve{overlap} WHERE iteration_id = {shown} AND tag_name = " + tag + " ORDER BY probability DESC")
		if len(points) < 2 || len(points) > 160 { // up to 160, the page shows every point
			b.Errorf("the curve of %s has %d points", name, len(points))
			continue
		}
		var want []line
		nearest := 0
		for n, p := range points {
			want = append(want, line{"Threshold": probability(drawn(p[2])), "Recall": percent(drawn(p[0])), "Precision": percent(drawn(p[1]))})
			if drawn(p[2]) >= v.threshold {
				nearest = n
			}
		}
		compare(b, "the curve of "+name, cells(b, "curve-table"), want, true)
		now := v.one("SELECT recall, precision FROM tag_metrics{at} WHERE scope = 'tag' AND iteration_id = {shown} AND tag_name = " + tag)
		reads := func(which, precision, recall string) {
			b.Helper()
			want := name + ": with " + which + ", precision " + precision + " and recall " + recall
			if said := read[string](b, `document.getElementById("curve-readout").textContent`); said != want {
				b.Errorf("the curve's cursor says %q, not %q", said, want)
			}
		}
		point := func(n int) {
			b.Helper()
			reads("threshold "+want[n]["Threshold"], want[n]["Precision"], want[n]["Recall"])
		}
		if now[0] == nil || now[1] == nil {
			point(nearest)
		} else {
			reads(fmt.Sprint("the slider's threshold ", v.threshold), percent(now[1]), percent(now[0]))
		}

		place := plot(b)
		line := floats(read[string](b, `document.querySelector("#curve-chart .chosen .ct-line").getAttribute("d")`))
		if len(line) != 2*len(points) {
			b.Errorf("the curve of %s is drawn through %d of its %d points", name, len(line)/2, len(points))
			continue
		}
		for n, p := range points {
			near(b, "the curve's point", place(line[2*n], line[2*n+1]), p[0], p[1])
		}
		dots := read[[]float64](b, `[...document.querySelectorAll("#curve-chart .now .ct-point")].flatMap((p) => [Number(p.getAttribute("x1")), Number(p.getAttribute("y1"))])`)
		switch {
		case now[0] == nil || now[1] == nil:
			if len(dots) != 0 {
				b.Errorf("%s has no precision or recall at the threshold, but its curve has a dot at %v", name, dots)
			}
		case len(dots) != 2:
			b.Errorf("the curve of %s has dots at %v", name, dots)
		default:
			near(b, "the curve's dot", place(dots[0], dots[1]), now[0], now[1])
		}
		key := read[string](b, `document.getElementById("curve-key").textContent`)
		if !strings.Contains(key, "precision "+percent(now[1])+", recall "+percent(now[0])) {
			b.Errorf("the curve's key says %q, tag_metrics precision %s and recall %s", key, percent(now[1]), percent(now[0]))
		}
		b.press("#curve-chart .cursor", end)
		point(len(points) - 1)
		b.press("", left)
		point(len(points) - 2)
		b.press("", kb.Home)
		point(0)
	}
}

// plot returns a function from a place in the curve's drawing to recall and precision.
// It uses the grid, which goes from 0 to 1.
func plot(b *tab) func(x, y float64) [2]float64 {
	b.Helper()
	grid := func(way, at string) (low, high float64) {
		lines := read[[]float64](b, `[...document.querySelectorAll("#curve-chart .ct-grid.`+way+`")].map((l) => Number(l.getAttribute("`+at+`")))`)
		if len(lines) < 2 {
			b.Fatalf("the curve has the grid lines %v", lines)
		}
		return slices.Min(lines), slices.Max(lines)
	}
	left, right := grid("ct-horizontal", "x1")
	top, bottom := grid("ct-vertical", "y1")
	return func(x, y float64) [2]float64 {
		return [2]float64{(x - left) / (right - left), (bottom - y) / (bottom - top)}
	}
}

func near(b *tab, what string, got [2]float64, recall, precision any) {
	b.Helper()
	if math.Abs(got[0]-recall.(float64)) > 0.001 || math.Abs(got[1]-precision.(float64)) > 0.001 {
		b.Errorf("%s is at recall %.3f and precision %.3f, not %.3f and %.3f", what, got[0], got[1], recall, precision)
	}
}

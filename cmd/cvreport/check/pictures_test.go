package check

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shape is a box on a picture, or a bar below it, of one image.
type shape struct {
	Kind       string // the class, which says what it is and how it is drawn
	X, Y, W, H float64
}

// card is an image of a list.
type card struct {
	ID, Text string
	View     string // the drawing's own size
	Boxes    []shape
	Bars     []bar
}

// bar is one tag of a classifier's image.
type bar struct {
	Name, Kind, Text    string
	Probability, Slider string // their places, as the style has them
}

// pictures compares the cards of all lists: which images they are, what they say,
// and what is drawn, to scale.
func pictures(b *tab, v *views) {
	b.Helper()
	list := func(id string) []card {
		b.Helper()
		return read[[]card](b, `[...document.querySelectorAll("#`+id+` .card")].map((c) => ({
  id: c.querySelector("code").textContent, text: c.textContent, view: c.querySelector("svg.picture")?.getAttribute("viewBox") ?? "",
  boxes: [...c.querySelectorAll("svg.picture rect:is(.labelled, .missed, .right, .wrong)")].map((r) => ({kind: r.getAttribute("class"), ...Object.fromEntries(["x", "y"].map((a) => [a, Number(r.getAttribute(a))])), w: Number(r.getAttribute("width")), h: Number(r.getAttribute("height"))})),
  bars: [...c.querySelectorAll(".bars li:not(.more)")].map((l) => ({name: l.querySelector("bdi").textContent, kind: l.className, text: l.querySelector(".number").textContent, probability: l.querySelector(".bar-of span").style.width, slider: l.querySelector(".bar-of i").style.left})),
}))`)
	}
	detection := v.one("SELECT any_value(classification_type) IS NULL FROM exports")[0].(bool)
	var of map[string][][]any
	if detection {
		of = byImage(v, boxesOf)
	} else {
		of = byImage(v, fmt.Sprintf(barsOf, v.threshold))
	}
	drawn := func(cards []card) {
		b.Helper()
		for _, c := range cards {
			if detection {
				boxes(b, v, c, of[c.ID])
			} else {
				bars(b, v, c, of[c.ID])
			}
		}
	}
	ordered := func(id, query string) {
		b.Helper()
		cards := list(id)
		rows := v.ask(query)
		if len(cards) != min(8, len(rows)) && len(cards) != len(rows) {
			b.Errorf("%s has %d cards of %d", id, len(cards), len(rows))
		}
		for n, c := range cards[:min(len(cards), len(rows))] {
			if !strings.Contains(c.Text, rows[n][0].(string)) || !strings.Contains(c.Text, rows[n][1].(string)) {
				b.Errorf("card %d of %s is not of image %s with %s: %q", n+1, id, rows[n][0], rows[n][1], c.Text)
			}
		}
		drawn(cards)
	}
	ordered("hardest", "SELECT image_id, printf('%.2f', error) FROM hardest_images{at} WHERE iteration_id = {shown} AND place <= 24 ORDER BY place")
	ordered("suspects", "SELECT image_id, printf('%.1f', confidence * 100) FROM label_suspects{at} WHERE iteration_id = {shown} AND place <= 24 ORDER BY place")
	for _, change := range []string{"fixed", "broken"} {
		cards, all := list(change), byImage(v, changesOf+"'"+change+"'")
		if (len(cards) == 0) != (len(all) == 0) {
			b.Errorf("%d images are %s, and %d have a card", len(all), change, len(cards))
		}
		for _, c := range cards {
			changed(b, c, all[c.ID])
		}
		drawn(cards)
	}
}

// byImage are a query's rows by their first column.
func byImage(v *views, query string) map[string][][]any {
	v.Helper()
	all := map[string][][]any{}
	for _, r := range v.ask(query) {
		all[r[0].(string)] = append(all[r[0].(string)], r[1:])
	}
	return all
}

const changesOf = `SELECT image_id, tag_name, before_true_positives, before_false_positives, before_false_negatives, before_probability,
after_true_positives, after_false_positives, after_false_negatives, after_probability FROM {changes} WHERE change = `

// changed compares what a card says of before and now.
func changed(b *tab, c card, rows [][]any) {
	b.Helper()
	for _, r := range rows {
		before, now, _ := strings.Cut(strings.TrimPrefix(c.Text, r[0].(string)), "Now")
		if strings.HasPrefix(c.Text, r[0].(string)) && says(before, r[1:5]) && says(now, r[5:9]) {
			return
		}
	}
	b.Errorf("iteration_changes has nothing that a card says: %q", c.Text)
}

// says is whether a text tells how many are right, wrong and missed, and how sure
// the surest is.
func says(text string, figures []any) bool {
	for n, word := range []string{"right", "wrong", "missed"} {
		got := "0"
		if m := regexp.MustCompile(`(\d+) ` + word).FindStringSubmatch(text); m != nil {
			got = m[1]
		}
		if got != whole(figures[n]) {
			return false
		}
	}
	return figures[3] == nil || strings.Contains(text, "("+probability(figures[3])+")")
}

const boxesOf = `
WITH o AS (FROM outcomes{at} WHERE iteration_id = {shown})
SELECT image_id, CASE outcome WHEN 'true_positive' THEN 'right' WHEN 'false_positive' THEN 'wrong' ELSE 'missed' END, box_left, box_top, box_width, box_height FROM o
UNION ALL
SELECT image_id, 'labelled', l.box_left, l.box_top, l.box_width, l.box_height FROM current_labels AS l JOIN o USING (iteration_id, image_id, label_index) WHERE o.outcome = 'true_positive'`

// boxes compares a detector's boxes with the regions and the predictions.
func boxes(b *tab, v *views, c card, want [][]any) {
	b.Helper()
	size := v.one("SELECT COALESCE(width, 400), COALESCE(height, 300) FROM current_images WHERE iteration_id = {shown} AND image_id = '" + c.ID + "'")
	if want := fmt.Sprint("0 0 ", size[0], " ", size[1]); c.View != want {
		b.Errorf("image %s is drawn in %s, not %s", c.ID, c.View, want)
	}
	if len(want) != len(c.Boxes) {
		b.Errorf("image %s has %d boxes at %v, %d are drawn: %v", c.ID, len(want), v.threshold, len(c.Boxes), c.Boxes)
	}
	width, height := size[0].(float64), size[1].(float64)
	for _, r := range want {
		w := shape{r[0].(string), r[1].(float64) * width, r[2].(float64) * height, r[3].(float64) * width, r[4].(float64) * height}
		if !slices.ContainsFunc(c.Boxes, func(s shape) bool {
			off := max(math.Abs(s.X-w.X), math.Abs(s.Y-w.Y), math.Abs(s.W-w.W), math.Abs(s.H-w.H))
			return s.Kind == w.Kind && off < 1e-4*(width+height)
		}) {
			b.Errorf("image %s, %v wide and %v high, has no box %+v: %+v", c.ID, width, height, w, c.Boxes)
		}
	}
}

const barsOf = `
SELECT image_id, COALESCE(p.tag_name, l.tag_name), p.probability, CASE WHEN l.tag_id IS NULL THEN 'wrong' WHEN p.probability >= CAST(%[1]v AS DOUBLE) THEN 'right' ELSE 'missed' END
FROM (FROM current_predictions WHERE iteration_id = {shown}) AS p FULL JOIN (FROM current_labels WHERE iteration_id = {shown}) AS l USING (image_id, tag_id)
WHERE l.tag_id IS NOT NULL OR p.probability >= CAST(%[1]v AS DOUBLE) ORDER BY p.probability DESC, p.prediction_index`

// bars compares a classifier's surest tags, at most eight.
func bars(b *tab, v *views, c card, rows [][]any) {
	b.Helper()
	write := func(name any, kind string, said, wide, slider float64) string {
		return fmt.Sprintf("%s %s %s, %.2f %% of the bar, the slider at %.2f %%", name, kind, strconv.FormatFloat(said, 'g', 3, 64), wide, slider)
	}
	var got, want []string
	for _, r := range rows[:min(8, len(rows))] {
		want = append(want, write(r[0], r[2].(string), r[1].(float64), r[1].(float64)*100, v.threshold*100))
	}
	for _, s := range c.Bars {
		var n [3]float64
		for i, text := range []string{s.Text, s.Probability, s.Slider} {
			if f := floats(text); len(f) == 1 {
				n[i] = f[0]
			}
		}
		got = append(got, write(s.Name, s.Kind, n[0], n[1], n[2]))
	}
	same(b, "the bars of image "+c.ID, got, want)
}

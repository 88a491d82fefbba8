package page

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// shape is a rectangle on a picture.
type shape struct {
	Kind, Text string // the class, which says what it stands for and how it is drawn; the title
	X, Y, W, H float64
}

// card is one image in a list, as the page shows it.
type card struct {
	ID, Head string
	Notes    []string // the lines below the drawing
	View     string   // the drawing's own size
	Boxes    []shape
	Texts    []string // at the boxes, each with the class first
	Bars     []bar
}

// bar is one tag on a classifier's card.
type bar struct {
	Name, Kind, Text, Word string
	Probability, Slider    string // their positions, from the style
}

// subject is what a card emphasises: a tag, a prediction, a label, or everything.
type subject struct {
	all                    bool
	tag, prediction, label any
	before                 [][]any // predictions of other tags that were wrong before
}

// of reports whether a card emphasises a prediction or a label.
func (s subject) of(tag, prediction, label any) bool {
	return s.all || (s.tag != nil && s.tag == tag) || (s.prediction != nil && s.prediction == prediction) || (s.label != nil && s.label == label)
}

// pictures checks the cards of all lists: their images, their texts, and what is drawn,
// to scale.
func pictures(b *tab, v *views) {
	b.Helper()
	detection := v.one("SELECT any_value(model_kind) FROM model_kinds")[0] == "detection"
	var of, before map[string][][]any
	if detection {
		of, before = byImage(v, boxesOf), byImage(v, beforeOf)
	} else {
		of = byImage(v, fmt.Sprintf(barsOf, v.threshold))
	}
	compare := func(id string, rows [][]any, want func(n int, r []any) (card, subject)) {
		b.Helper()
		cards := cardsOf(b, id)
		if len(cards) != min(8, len(rows)) && len(cards) != len(rows) {
			b.Errorf("%s has %d cards of %d", id, len(cards), len(rows))
		}
		for n, c := range cards[:min(len(cards), len(rows))] {
			w, about := want(n, rows[n])
			if w.ID = rows[n][0].(string); c.ID != w.ID || c.Head != w.Head || !slices.Equal(c.Notes, w.Notes) {
				b.Errorf("card %d of %s says %q %q of image %s, the views %q %q of image %s", n+1, id, c.Head, c.Notes, c.ID, w.Head, w.Notes, w.ID)
			}
			if detection {
				boxes(b, v, c, of[w.ID], about)
			} else {
				bars(b, v, c, of[w.ID], about)
			}
		}
	}
	compare("hardest", v.ask("SELECT image_id, error, true_positives, false_positives, false_negatives FROM hardest_images{at} WHERE iteration_id = {shown} AND place <= 24 ORDER BY place"), func(n int, r []any) (card, subject) {
		return card{Head: fmt.Sprintf("%d. Error %s", n+1, fixed(r[1].(float64), 2)), Notes: []string{fmt.Sprintf("%v right, %v wrong, %v missed", r[2], r[3], r[4])}}, subject{all: true}
	})
	compare("suspects", v.ask("SELECT image_id, kind, score, labelled_tag_name, predicted_tag_name, iou, prediction_index, label_index, predicted_probability, predicted_threshold, labelled_probability, labelled_threshold FROM label_suspects() WHERE iteration_id = {shown} AND place <= 24 ORDER BY place"), func(n int, r []any) (card, subject) {
		kind := r[1].(string)
		note := map[string]string{
			"swapped":     "labelled " + named(r[3], none) + ", looks like " + named(r[4], none),
			"overlooked":  "not labelled, looks like " + named(r[4], none),
			"superfluous": "labelled " + named(r[3], none) + ", which it does not look like",
		}[kind]
		if kind == "badly_placed" {
			note = "the box of " + named(r[3], none) + " seems misplaced (overlap " + fixed(r[5].(float64), 2) + ")"
		}
		var why []string
		if r[4] != nil {
			why = append(why, fmt.Sprintf("%s is predicted with %s, where it is labelled with %s on average.", named(r[4], none), sureness(r[8]), sureness(r[9])))
		}
		if r[3] != nil && kind != "badly_placed" {
			why = append(why, fmt.Sprintf("%s is predicted with %s, where it is not labelled with %s on average.", named(r[3], none), sureness(r[10]), sureness(r[11])))
		}
		return card{Head: fmt.Sprintf("%d. %s, score %s", n+1, suspicions[kind], fixed(r[2].(float64), 2)), Notes: []string{note, strings.Join(why, " ")}}, subject{prediction: r[6], label: r[7]}
	})
	for _, change := range []string{"broken", "fixed"} {
		compare(change, v.ask(fmt.Sprintf(changesOf, change)), func(_ int, r []any) (card, subject) {
			about := subject{tag: r[10]}
			if change == "fixed" {
				about.before = slices.DeleteFunc(slices.Clone(before[r[0].(string)]), func(p []any) bool { return p[0] != r[10] })
			}
			return card{Head: r[1].(string), Notes: []string{"Before: " + verdict(r[2:6]), "Now: " + verdict(r[6:10])}}, about
		})
	}
}

// cardsOf reads the cards of a list.
func cardsOf(b *tab, id string) []card {
	b.Helper()
	return read[[]card](b, `[...document.querySelectorAll("#`+id+` .card")].map((c) => ({
  id: c.querySelector("code").textContent, head: c.querySelector("h3, h4").textContent,
  notes: [...c.querySelectorAll("p:not(.id)")].map((p) => p.textContent), view: c.querySelector("svg.picture")?.getAttribute("viewBox") ?? "",
  boxes: [...c.querySelectorAll("svg.picture rect:not(.outline)")].map((r) => ({kind: r.getAttribute("class"), text: r.querySelector("title")?.textContent ?? "", ...Object.fromEntries(["x", "y"].map((a) => [a, Number(r.getAttribute(a))])), w: Number(r.getAttribute("width")), h: Number(r.getAttribute("height"))})),
  texts: [...c.querySelectorAll("svg.picture text")].map((e) => e.getAttribute("class") + " " + e.textContent),
  bars: [...c.querySelectorAll(".bars li:not(.more)")].map((l) => ({name: l.querySelector("bdi").textContent, kind: l.className, text: l.querySelector(".number").textContent, word: l.querySelector(".word").textContent, probability: l.querySelector(".bar-of span").style.width, slider: l.querySelector(".bar-of i").style.left})),
}))`)
}

// byImage groups the rows of a query by their first column.
func byImage(v *views, query string) map[string][][]any {
	v.Helper()
	all := map[string][][]any{}
	for _, r := range v.ask(query) {
		all[r[0].(string)] = append(all[r[0].(string)], r[1:])
	}
	return all
}

// verdict writes how many are right, wrong and missed, and the highest probability.
func verdict(figures []any) string {
	var parts []string
	for n, word := range []string{"right", "wrong", "missed"} {
		if figures[n].(float64) > 0 {
			parts = append(parts, whole(figures[n])+" "+word)
		}
	}
	if len(parts) == 0 {
		parts = []string{"not predicted, rightly"}
	}
	text := strings.Join(parts, ", ")
	switch {
	case figures[3] == nil:
		return text
	case figures[0].(float64)+figures[1].(float64) > 1:
		return text + ", highest probability " + probability(figures[3])
	}
	return text + ", probability " + probability(figures[3])
}

const boxesOf = `
WITH o AS (FROM outcomes{at} WHERE iteration_id = {shown})
SELECT image_id, CASE outcome WHEN 'true_positive' THEN 'right' WHEN 'false_positive' THEN 'wrong' ELSE 'missed' END, tag_name, probability,
  tag_id, prediction_index, CASE WHEN outcome = 'false_negative' THEN label_index END, box_left, box_top, box_width, box_height FROM o
UNION ALL
SELECT image_id, 'labelled', l.tag_name, NULL, l.tag_id, NULL, l.label_index, l.box_left, l.box_top, l.box_width, l.box_height
FROM current_labels AS l JOIN o USING (iteration_id, image_id, label_index) WHERE o.outcome = 'true_positive'`

const beforeOf = "SELECT image_id, tag_id, probability, box_left, box_top, box_width, box_height FROM outcomes{at} WHERE iteration_id = {before} AND outcome = 'false_positive'"

// boxes compares a detector's boxes with the regions and the predictions. Those that the
// card emphasises have a halo, the others are thin.
func boxes(b *tab, v *views, c card, rows [][]any, about subject) {
	b.Helper()
	size := v.one("SELECT COALESCE(width, 400), COALESCE(height, 300) FROM current_images WHERE iteration_id = {shown} AND image_id = '" + c.ID + "'")
	if want := fmt.Sprint("0 0 ", size[0], " ", size[1]); c.View != want {
		b.Errorf("image %s is drawn in %s, not %s", c.ID, c.View, want)
	}
	width, height := size[0].(float64), size[1].(float64)
	var want []shape
	var texts []string // of the emphasised boxes; the page leaves out those that would overlap
	add := func(strong bool, kind, text string, box []any) {
		s := shape{kind + " thin", text, box[0].(float64) * width, box[1].(float64) * height, box[2].(float64) * width, box[3].(float64) * height}
		if strong {
			s.Kind = kind
			texts = append(texts, kind+" "+text)
			want = append(want, shape{"halo", "", s.X, s.Y, s.W, s.H})
		}
		want = append(want, s)
	}
	for _, r := range rows {
		text := r[1].(string)
		if r[2] != nil {
			text += " " + probability(r[2])
		}
		add(about.of(r[3], r[4], r[5]), r[0].(string), text, r[6:])
	}
	for _, r := range about.before {
		add(true, "before", "before "+probability(r[1]), r[2:])
	}
	for _, text := range c.Texts {
		at := slices.Index(texts, text)
		if at < 0 {
			b.Errorf("image %s (%s) has the text %q, the views %q", c.ID, c.Head, text, texts)
			continue
		}
		texts = slices.Delete(texts, at, at+1)
	}
	left := slices.Clone(c.Boxes)
	for _, w := range want {
		at := slices.IndexFunc(left, func(s shape) bool {
			off := max(math.Abs(s.X-w.X), math.Abs(s.Y-w.Y), math.Abs(s.W-w.W), math.Abs(s.H-w.H))
			return s.Kind == w.Kind && s.Text == w.Text && off < 1e-4*(width+height)
		})
		if at < 0 {
			b.Errorf("image %s, %v wide and %v high, has no box %+v: %+v", c.ID, width, height, w, c.Boxes)
			continue
		}
		left = slices.Delete(left, at, at+1)
	}
	if len(left) > 0 {
		b.Errorf("image %s (%s) has boxes at threshold %v that are not in the views: %+v", c.ID, c.Head, v.threshold, left)
	}
}

const barsOf = `
SELECT image_id, COALESCE(p.tag_name, l.tag_name), p.probability, CASE WHEN l.tag_id IS NULL THEN 'wrong' WHEN p.probability >= CAST(%[1]v AS DOUBLE) THEN 'right' ELSE 'missed' END,
  COALESCE(p.tag_id, l.tag_id), p.prediction_index, l.label_index
FROM (FROM current_predictions WHERE iteration_id = {shown}) AS p FULL JOIN (FROM current_labels WHERE iteration_id = {shown}) AS l USING (image_id, tag_id)
WHERE l.tag_id IS NOT NULL OR p.probability >= CAST(%[1]v AS DOUBLE) ORDER BY p.probability DESC, p.prediction_index`

// bars compares the bars of a classifier's card: first the tags that the card emphasises,
// then the most probable, at most eight in all.
func bars(b *tab, v *views, c card, rows [][]any, about subject) {
	b.Helper()
	write := func(name any, kind, said, word string, wide, slider float64) string {
		return fmt.Sprintf("%s %s %s %s, %.2f %% of the bar, the slider at %.2f %%", name, kind, said, word, wide, slider)
	}
	words := map[string]string{"right": "labelled, found", "missed": "labelled, missed", "wrong": "not labelled"}
	var got, first, want []string
	for _, r := range rows {
		kind := r[2].(string)
		word := words[kind]
		strong := !about.all && about.of(r[3], r[4], r[5])
		if strong {
			kind += " about"
		}
		text := write(r[0], kind, probability(r[1]), word, r[1].(float64)*100, v.threshold*100)
		if strong {
			first = append(first, text)
		} else {
			want = append(want, text)
		}
	}
	want = append(first, want...)
	if !about.all && len(first) == 0 {
		b.Errorf("the card %s of image %s emphasises no bar", c.Head, c.ID)
	}
	for _, s := range c.Bars {
		var n [2]float64
		for i, text := range []string{s.Probability, s.Slider} {
			if f := floats(text); len(f) == 1 {
				n[i] = f[0]
			}
		}
		got = append(got, write(s.Name, s.Kind, s.Text, s.Word, n[0], n[1]))
	}
	same(b, "the bars of image "+c.ID, got, want[:min(8, len(want))])
}

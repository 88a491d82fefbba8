package report

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/analysis/verdict"
)

// changesOf returns a call of iteration_changes or comparison, which have the same
// arguments, for the two iterations.
func (l *loader) changesOf(function, threshold string) string {
	before, _ := l.compared()
	return function + "(" + strings.Join([]string{
		l.enum("project_id", l.page.Project.ID), l.enum("iteration_id", before.ID), l.enum("iteration_id", l.shown().ID), threshold, double(l.page.Overlap),
	}, ", ") + ")"
}

// keepChanges evaluates iteration_changes once for each threshold, because the page
// uses it several times.
func (l *loader) keepChanges() error {
	if _, ok := l.compared(); !ok {
		return nil
	}
	const columns = "SELECT * EXCLUDE (project_id, before_iteration_id, after_iteration_id), "
	if err := l.run("CREATE TABLE report_changes AS " + columns + "0.0::DOUBLE AS threshold FROM " + l.changesOf("iteration_changes", "0.5") + " LIMIT 0"); err != nil {
		return err
	}
	err := l.atEach(func(w warehouse, _ int, threshold string) error {
		return w.run("INSERT INTO report_changes " + columns + threshold + " FROM " + l.changesOf("iteration_changes", threshold))
	})
	if err != nil {
		return err
	}
	return l.run(`CREATE OR REPLACE MACRO iteration_changes(project, before, after, probability_threshold, overlap_threshold) AS TABLE
SELECT * EXCLUDE threshold FROM report_changes WHERE threshold = probability_threshold`)
}

// readComparison reads comparison at every threshold.
func (l *loader) readComparison() error {
	if _, ok := l.compared(); !ok {
		return nil
	}
	n := len(l.page.Thresholds)
	l.page.Shared, l.page.Changes = make([]shared, n), make([]changes, n)
	for t := range n {
		for _, m := range []*metrics{&l.page.Shared[t].Before, &l.page.Shared[t].Now} {
			m.Tags = make([]counted, len(l.page.Tags))
		}
		l.page.Changes[t] = changes{Tags: [][5]int{}, Broken: []changed{}, Fixed: []changed{}}
	}
	type row struct {
		scope       string
		tag, images int
		changes     [4]int
		counts      [2][3]int64
		figures     [2]figures
	}
	query := `
SELECT scope, tag_id, images, fixed, broken, still_right, still_wrong,
  before_true_positives, before_false_positives, before_false_negatives, before_precision, before_recall, before_f1,
  after_true_positives, after_false_positives, after_false_negatives, after_precision, after_recall, after_f1
FROM ` + l.changesOf("comparison", "{threshold}") + " ORDER BY scope, tag_id"
	return each(l, query, func(r *row) []any {
		into := []any{&r.scope, l.tag(&r.tag), &r.images, &r.changes[0], &r.changes[1], &r.changes[2], &r.changes[3]}
		for side := range 2 {
			c, f := &r.counts[side], &r.figures[side]
			into = append(into, &c[0], &c[1], &c[2], &f[0], &f[1], &f[2])
		}
		return into
	}, func(t int, r row) {
		l.page.Shared[t].Images = r.images
		for side, m := range []*metrics{&l.page.Shared[t].Before, &l.page.Shared[t].Now} {
			c, f := r.counts[side], r.figures[side]
			m.set(r.scope, r.tag, counted{c[0], c[1], c[2], f[0], f[1], f[2]})
		}
		switch n := r.changes; r.scope {
		case "micro":
			l.page.Changes[t].Counts = n
		case "tag":
			l.page.Changes[t].Tags = append(l.page.Changes[t].Tags, [5]int{r.tag, n[0], n[1], n[2], n[3]})
		}
	})
}

// readVerdict judges the two iterations at the threshold that the slider starts at, and
// at no other: with a verdict at each of them, one would soon be wrong by chance.
func (l *loader) readVerdict() error {
	if _, ok := l.compared(); !ok {
		return nil
	}
	// What has none of these at the lowest threshold has none at any.
	if l.page.Apart = l.page.Shared[0].apart(); l.page.Apart != nil {
		return nil
	}
	var images []verdict.Image
	var i verdict.Image
	at := double(l.page.Thresholds[l.page.Start])
	err := l.read(verdict.Query(l.changesOf("iteration_changes", at)), []any{&i.Fixed, &i.Broken}, func() { images = append(images, i) })
	if err != nil {
		return err
	}
	change := 0.0 // of F1, which is null if there is no case at this threshold
	both := l.page.Shared[l.page.Start]
	if now, before := both.Now.Micro.f1(), both.Before.Micro.f1(); now != nil && before != nil {
		change = *now - *before
	}
	v := verdict.Judge(images, change)
	l.page.Verdict = &v
	return nil
}

// apart returns what keeps two iterations from being compared; nil if nothing does.
func (s shared) apart() *apart {
	if s.Images == 0 {
		return &apart{What: "image"}
	}
	for _, side := range []struct {
		name string
		m    metrics
	}{{"before", s.Before}, {"now", s.Now}} {
		switch right, wrong, missed := side.m.Micro.counts(); {
		case right+missed == 0:
			return &apart{Side: side.name, What: "label"}
		case right+wrong == 0:
			return &apart{Side: side.name, What: "prediction"}
		}
	}
	return nil
}

// readChanges reads the cases that are fixed and broken: first those whose probability
// has changed most.
func (l *loader) readChanges() error {
	if _, ok := l.compared(); !ok {
		return nil
	}
	l.fixed = map[imageTag]bool{}
	first := func(change string) string {
		return `
(SELECT change, image_id, tag_id, before_true_positives, before_false_positives, before_false_negatives, before_probability,
  after_true_positives, after_false_positives, after_false_negatives, after_probability,
  ABS(COALESCE(after_probability, 0) - COALESCE(before_probability, 0)) AS moved
FROM changes WHERE change = '` + change + "' ORDER BY moved DESC, image_id, tag_id LIMIT " + strconv.Itoa(listLength) + ")"
	}
	query := "WITH changes AS (FROM " + l.changesOf("iteration_changes", "{threshold}") + ")" +
		first("fixed") + "\nUNION ALL" + first("broken") + "\nORDER BY change, moved DESC, image_id, tag_id"
	type row struct {
		change         string
		image          int64
		tag            int
		before, after  [3]int
		was, is, moved *float64
	}
	return each(l, query, func(r *row) []any {
		b, a := &r.before, &r.after
		return []any{&r.change, &r.image, l.tag(&r.tag), &b[0], &b[1], &b[2], &r.was, &a[0], &a[1], &a[2], &r.is, &r.moved}
	}, func(t int, r row) {
		c, b, a := &l.page.Changes[t], r.before, r.after
		line := changed{l.list(r.image), r.tag, b[0], b[1], b[2], r.was, a[0], a[1], a[2], r.is}
		if r.change == "broken" {
			c.Broken = append(c.Broken, line)
			return
		}
		c.Fixed = append(c.Fixed, line)
		l.fixed[imageTag{r.image, r.tag}] = true
	})
}

// imageTag is a tag of an image.
type imageTag struct {
	image int64 // its number
	tag   int   // its position in the page
}

// readWrongBefore reads the wrong boxes that the other iteration had for the tags that
// are listed as fixed. A classifier has none.
func (l *loader) readWrongBefore() error {
	before, ok := l.compared()
	if !ok || l.page.Kind != "detection" || len(l.fixed) == 0 {
		return nil
	}
	var pairs []string
	for m := range l.fixed {
		pairs = append(pairs, fmt.Sprintf("(%d, %s)", m.image, rows.Quote(l.page.Tags[m.tag].ID)))
	}
	var number int64
	var tag int
	var probability float64
	var box [4]*float64
	return l.read(`SELECT o.image_id, o.tag_id, o.probability, o.box_left, o.box_top, o.box_width, o.box_height
FROM report_wrong AS o SEMI JOIN (VALUES `+strings.Join(pairs, ", ")+`) AS f(image_id, tag_id) ON f.image_id = o.image_id AND f.tag_id = o.tag_id
WHERE o.iteration_id = `+rows.Quote(before.ID)+` ORDER BY o.image_id, o.probability DESC, o.prediction_index`, []any{&number, l.tag(&tag), &probability, &box[0], &box[1], &box[2], &box[3]}, func() {
		image := &l.page.Images[l.image[number]]
		image.Before = append(image.Before, append([]any{tag, probability}, boxValues(box)...))
	})
}

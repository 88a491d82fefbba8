package report

import (
	"fmt"
	"strconv"
	"strings"
)

// listLength is how many images a list shows at most at one threshold.
const listLength = 24

// readMistakes reads the confusion matrix, the hardest images and the label
// suspects of the iteration that is shown.
func (l *loader) readMistakes() error {
	n := len(l.page.Thresholds)
	l.page.Confusion, l.page.Hardest, l.page.Suspects = make([][][3]int, n), make([][]hardImage, n), make([][]suspect, n)
	l.page.HardTotal, l.page.SusTotal = make([]int, n), make([]int, n)
	for t := range n {
		l.page.Confusion[t], l.page.Hardest[t], l.page.Suspects[t] = [][3]int{}, []hardImage{}, []suspect{}
	}
	shown := " WHERE iteration_id = " + l.enum("iteration_id", l.shown().ID)
	if err := l.keepMistakes(shown); err != nil {
		return err
	}
	err := each(l, "SELECT true_tag_id, predicted_tag_id, cases FROM confusion({threshold}, {overlap})"+shown+" ORDER BY ALL", func(r *[3]int) []any {
		return []any{l.tag(&r[0]), l.tag(&r[1]), &r[2]}
	}, func(t int, r [3]int) { l.page.Confusion[t] = append(l.page.Confusion[t], r) })
	if err != nil {
		return err
	}
	// Counting with a window function would take longer than everything else.
	first := func(function, columns string) string {
		return "WITH listed AS MATERIALIZED (SELECT place, " + columns + " FROM " + function + "({threshold}, {overlap})" + shown +
			") SELECT " + columns + ", (SELECT COUNT(*) FROM listed) FROM listed WHERE place <= " + strconv.Itoa(listLength) + " ORDER BY place"
	}
	type hardRow struct {
		image, tp, fp, fn int64
		wrong             float64
		all               int
	}
	err = each(l, first("hardest_images", "image_id, error, true_positives, false_positives, false_negatives"), func(r *hardRow) []any {
		return []any{&r.image, &r.wrong, &r.tp, &r.fp, &r.fn, &r.all}
	}, func(t int, r hardRow) {
		l.page.HardTotal[t] = r.all
		l.page.Hardest[t] = append(l.page.Hardest[t], hardImage{l.list(r.image), r.wrong, r.tp, r.fp, r.fn})
	})
	if err != nil {
		return err
	}
	const columns = "image_id, suspicion, confidence, predicted_tag_id, labelled_tag_id, prediction_index, label_index, iou"
	type suspectRow struct {
		image                    int64
		suspicion                string
		confidence               float64
		prediction, label        *int64
		iou                      *float64
		predicted, labelled, all int
	}
	return each(l, first("label_suspects", columns), func(r *suspectRow) []any {
		return []any{&r.image, &r.suspicion, &r.confidence, l.tag(&r.predicted), l.tag(&r.labelled), &r.prediction, &r.label, &r.iou, &r.all}
	}, func(t int, r suspectRow) {
		l.page.SusTotal[t] = r.all
		l.page.Suspects[t] = append(l.page.Suspects[t], suspect{l.list(r.image), r.suspicion, r.confidence, r.predicted, r.labelled, r.prediction, r.label, r.iou})
	})
}

// keepMistakes evaluates mistakes once for each threshold, because the functions over
// it use it several times.
func (l *loader) keepMistakes(shown string) error {
	if err := l.run("CREATE TABLE report_mistakes AS SELECT *, 0.0::DOUBLE AS threshold FROM mistakes(0.5, 0.5) LIMIT 0"); err != nil {
		return err
	}
	err := l.atEach(func(w warehouse, _ int, threshold string) error {
		return w.run("INSERT INTO report_mistakes SELECT *, " + threshold + " FROM mistakes(" + threshold + ", " + double(l.page.Overlap) + ")" + shown)
	})
	if err != nil {
		return err
	}
	return l.run(`CREATE OR REPLACE MACRO mistakes(probability_threshold, overlap_threshold) AS TABLE
SELECT * EXCLUDE threshold FROM report_mistakes WHERE threshold = probability_threshold`)
}

// list returns an image's position in the page and adds it to the page if it is new.
func (l *loader) list(number int64) int {
	at, ok := l.image[number]
	if !ok {
		at = len(l.page.Images)
		l.image[number] = at
		l.page.Images = append(l.page.Images, Image{Predictions: [][]any{}, Labels: [][]any{}})
	}
	return at
}

// readChanges reads what has changed for the images that both iterations have: counts
// by tag, and the images whose probability has changed most.
func (l *loader) readChanges() error {
	before, ok := l.compared()
	if !ok {
		return nil
	}
	l.fixed = map[imageTag]bool{}
	l.page.Changes = make([]changes, len(l.page.Thresholds))
	for t := range l.page.Changes {
		l.page.Changes[t] = changes{Tags: [][5]int{}, Broken: []changed{}, Fixed: []changed{}}
	}
	count := func(change string) string { return "COUNT(*) FILTER (change = '" + change + "')" }
	first := func(change string) string {
		return `
UNION ALL
(SELECT change, image_id, tag_id, before_true_positives, before_false_positives, before_false_negatives, after_true_positives, after_false_positives, after_false_negatives,
  before_probability, after_probability, ABS(COALESCE(after_probability, 0) - COALESCE(before_probability, 0)) AS moved
FROM changes WHERE change = '` + change + "' ORDER BY moved DESC, image_id, tag_id LIMIT " + strconv.Itoa(listLength) + ")"
	}
	query := `
WITH changes AS MATERIALIZED (
  SELECT image_id, tag_id, change, before_true_positives, before_false_positives, before_false_negatives, before_probability,
    after_true_positives, after_false_positives, after_false_negatives, after_probability
  FROM iteration_changes(` + l.enum("project_id", l.page.Project.ID) + ", " + l.enum("iteration_id", before.ID) + ", " + l.enum("iteration_id", l.shown().ID) + `, {threshold}, {overlap})
)
SELECT 'tag' AS part, NULL AS image_id, tag_id, ` + count("fixed") + ", " + count("broken") + ", " + count("still_right") + ", " + count("still_wrong") + `, 0, 0, NULL, NULL, 0.0 AS moved
FROM changes GROUP BY GROUPING SETS ((), (tag_id))` + first("fixed") + first("broken") + `
ORDER BY part, moved DESC, image_id, tag_id`
	type row struct {
		part           string
		image          *int64
		tag            int
		n              [6]int
		was, is, moved *float64
	}
	return each(l, query, func(r *row) []any {
		return []any{&r.part, &r.image, l.tag(&r.tag), &r.n[0], &r.n[1], &r.n[2], &r.n[3], &r.n[4], &r.n[5], &r.was, &r.is, &r.moved}
	}, func(t int, r row) {
		c, n := &l.page.Changes[t], r.n
		switch r.part {
		case "fixed":
			c.Fixed = append(c.Fixed, changed{l.list(*r.image), r.tag, n[0], n[1], n[2], r.was, n[3], n[4], n[5], r.is})
			l.fixed[imageTag{*r.image, r.tag}] = true
		case "broken":
			c.Broken = append(c.Broken, changed{l.list(*r.image), r.tag, n[0], n[1], n[2], r.was, n[3], n[4], n[5], r.is})
		default:
			if r.tag < 0 {
				c.Counts = [4]int(n[:4])
			} else {
				c.Tags = append(c.Tags, [5]int{r.tag, n[0], n[1], n[2], n[3]})
			}
		}
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
		pairs = append(pairs, fmt.Sprintf("(%d, %s)", m.image, quote(l.page.Tags[m.tag].ID)))
	}
	var number int64
	var tag int
	var probability float64
	var box [4]*float64
	return l.read(`SELECT o.image_id, o.tag_id, o.probability, o.box_left, o.box_top, o.box_width, o.box_height
FROM report_wrong AS o SEMI JOIN (VALUES `+strings.Join(pairs, ", ")+`) AS f(image_id, tag_id) ON f.image_id = o.image_id AND f.tag_id = o.tag_id
WHERE o.iteration_id = `+quote(before.ID)+` ORDER BY o.image_id, o.probability DESC, o.prediction_index`, []any{&number, l.tag(&tag), &probability, &box[0], &box[1], &box[2], &box[3]}, func() {
		image := &l.page.Images[l.image[number]]
		image.Before = append(image.Before, append([]any{tag, probability}, boxValues(box)...))
	})
}

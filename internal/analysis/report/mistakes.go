package report

import (
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/rows"
)

// listLength is how many images a list shows at most at one threshold.
const listLength = 24

// readMistakes reads the confusion matrix, the hardest images and the label
// suspects of the iteration that is shown.
func (l *loader) readMistakes() error {
	n := len(l.page.Thresholds)
	l.page.Confusion, l.page.Hardest, l.page.Suspects = make([][][3]int, n), make([][]hardImage, n), []suspect{}
	l.page.HardTotal = make([]int, n)
	for t := range n {
		l.page.Confusion[t], l.page.Hardest[t] = [][3]int{}, []hardImage{}
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
	return l.readSuspects()
}

// keepSuspects finds the label suspects of the iteration that is shown. They need every
// prediction, and the copy lacks some.
func (l *loader) keepSuspects() error {
	shown := rows.Quote(l.shown().ID)
	columns := strings.Replace(enumerated("iteration_id, image_id, prediction_index, tag_id, tag_name, probability"), "image_id", "number AS image_id", 1)
	return l.run(
		"ALTER VIEW current_predictions RENAME TO report_part",
		"ALTER VIEW current_labels RENAME TO report_labels",
		"CREATE VIEW current_predictions AS SELECT "+l.projectColumn()+columns+l.boxes("box_")+" FROM report_predictions LEFT JOIN report_image_ids ON id = image_id WHERE project_id = "+rows.Quote(l.page.Project.ID)+" AND iteration_id = "+shown,
		"CREATE VIEW current_labels AS FROM report_labels WHERE iteration_id = "+shown,
		"CREATE TABLE report_suspects AS FROM label_suspects() WHERE iteration_id = "+shown,
		"DROP VIEW current_predictions",
		"DROP VIEW current_labels",
		"ALTER VIEW report_part RENAME TO current_predictions",
		"ALTER VIEW report_labels RENAME TO current_labels",
	)
}

// readSuspects reads the first of the label suspects.
func (l *loader) readSuspects() error {
	var image int64
	var predicted, labelled, all int
	var kind string
	var score float64
	var figures [5]*float64
	var prediction, label *int64
	return l.read(`SELECT image_id, kind, score, predicted_tag_id, predicted_probability, predicted_threshold, labelled_tag_id, labelled_probability, labelled_threshold,
  prediction_index, label_index, iou, (SELECT COUNT(*) FROM report_suspects)
FROM report_suspects WHERE place <= `+strconv.Itoa(listLength)+" ORDER BY place",
		[]any{&image, &kind, &score, l.tag(&predicted), &figures[0], &figures[1], l.tag(&labelled), &figures[2], &figures[3], &prediction, &label, &figures[4], &all}, func() {
			l.page.SusTotal = all
			l.page.Suspects = append(l.page.Suspects, suspect{l.list(image), kind, score, predicted, figures[0], figures[1], labelled, figures[2], figures[3], prediction, label, figures[4]})
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

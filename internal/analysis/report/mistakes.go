package report

import "strconv"

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

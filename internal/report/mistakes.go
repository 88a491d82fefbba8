package report

import (
	"fmt"
	"strconv"
)

// listLength is how many images a list shows at most, at each threshold.
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
	shown := " WHERE iteration_id = " + quote(l.shown().ID)
	if err := l.keepMistakes(shown); err != nil {
		return err
	}
	err := l.each("SELECT true_tag_id, predicted_tag_id, cases FROM confusion({threshold}, {overlap})", shown+" ORDER BY ALL", func(t int, row func(...any) error) error {
		var labelled, predicted *string
		var cases int
		if err := row(&labelled, &predicted, &cases); err != nil {
			return err
		}
		l.page.Confusion[t] = append(l.page.Confusion[t], [3]int{l.tagPlace(labelled), l.tagPlace(predicted), cases})
		return nil
	})
	if err != nil {
		return err
	}
	first := fmt.Sprintf(" QUALIFY place <= %d ORDER BY place", listLength)
	err = l.each("SELECT image_id, error, true_positives, false_positives, false_negatives, COUNT(*) OVER () FROM hardest_images({threshold}, {overlap})", shown+first, func(t int, row func(...any) error) error {
		var id string
		var wrong float64
		var tp, fp, fn int64
		if err := row(&id, &wrong, &tp, &fp, &fn, &l.page.HardTotal[t]); err != nil {
			return err
		}
		l.page.Hardest[t] = append(l.page.Hardest[t], hardImage{l.imagePlace(id), wrong, tp, fp, fn})
		return nil
	})
	if err != nil {
		return err
	}
	return l.each("SELECT image_id, suspicion, confidence, predicted_tag_id, labelled_tag_id, prediction_index, label_index, iou, COUNT(*) OVER () FROM label_suspects({threshold}, {overlap})", shown+first, func(t int, row func(...any) error) error {
		var id, suspicion string
		var confidence float64
		var predicted, labelled *string
		var prediction, label *int64
		var iou *float64
		if err := row(&id, &suspicion, &confidence, &predicted, &labelled, &prediction, &label, &iou, &l.page.SusTotal[t]); err != nil {
			return err
		}
		l.page.Suspects[t] = append(l.page.Suspects[t], suspect{l.imagePlace(id), suspicion, confidence, l.tagPlace(predicted), l.tagPlace(labelled), prediction, label, iou})
		return nil
	})
}

// keepMistakes evaluates mistakes once a threshold. The functions over it ask
// for it several times.
func (l *loader) keepMistakes(shown string) error {
	for n, threshold := range l.page.Thresholds {
		put := "INSERT INTO report_mistakes"
		if n == 0 {
			put = "CREATE TABLE report_mistakes AS"
		}
		t := double(threshold)
		if err := l.run(put + " SELECT *, " + t + " AS threshold FROM mistakes(" + t + ", " + double(l.page.Overlap) + ")" + shown); err != nil {
			return err
		}
	}
	return l.run(`CREATE OR REPLACE MACRO mistakes(probability_threshold, overlap_threshold) AS TABLE
SELECT * EXCLUDE threshold FROM report_mistakes WHERE threshold = probability_threshold`)
}

// tagPlace is a tag's place in the page, -1 for none.
func (l *loader) tagPlace(id *string) int {
	if id == nil {
		return -1
	}
	return l.tags[*id]
}

// imagePlace is an image's place in the page, which has it from now on.
func (l *loader) imagePlace(id string) int {
	at, ok := l.image[id]
	if !ok {
		at = len(l.page.Images)
		l.image[id] = at
		l.page.Images = append(l.page.Images, Image{ID: id, Predictions: [][]any{}, Labels: [][]any{}})
	}
	return at
}

// readChanges reads what became of the images that both iterations know.
func (l *loader) readChanges() error {
	before, ok := l.compared()
	if !ok {
		return nil
	}
	l.page.Changes = make([]changes, len(l.page.Thresholds))
	for t, threshold := range l.page.Thresholds {
		l.page.Changes[t] = changes{Tags: [][5]int{}, Broken: []changed{}, Fixed: []changed{}}
		put := "INSERT INTO report_changes"
		if t == 0 {
			put = "CREATE TABLE report_changes AS"
		}
		err := l.run(fmt.Sprintf("%s SELECT *, %d AS threshold FROM iteration_changes(%s, %s, %s, %s, %s)", put, t,
			quote(l.page.Project.ID), quote(before.ID), quote(l.shown().ID), double(threshold), double(l.page.Overlap)))
		if err != nil {
			return err
		}
	}
	err := l.read(`
SELECT threshold, COALESCE(tag_id, ''), COUNT(*) FILTER (change = 'fixed'), COUNT(*) FILTER (change = 'broken'),
  COUNT(*) FILTER (change = 'still_right'), COUNT(*) FILTER (change = 'still_wrong')
FROM report_changes GROUP BY GROUPING SETS ((threshold), (threshold, tag_id)) ORDER BY ALL`, func(row func(...any) error) error {
		var t int
		var tag string
		var n [4]int
		if err := row(&t, &tag, &n[0], &n[1], &n[2], &n[3]); err != nil {
			return err
		}
		if at, ok := l.tags[tag]; ok {
			l.page.Changes[t].Tags = append(l.page.Changes[t].Tags, [5]int{at, n[0], n[1], n[2], n[3]})
		} else {
			l.page.Changes[t].Counts = n
		}
		return nil
	})
	if err != nil {
		return err
	}
	// Those first whose probability has moved most.
	return l.read(`
SELECT threshold, change, image_id, tag_id, before_true_positives, before_false_positives, before_false_negatives, before_probability,
  after_true_positives, after_false_positives, after_false_negatives, after_probability
FROM report_changes WHERE change IN ('fixed', 'broken')
QUALIFY ROW_NUMBER() OVER (PARTITION BY threshold, change ORDER BY ABS(COALESCE(after_probability, 0) - COALESCE(before_probability, 0)) DESC, image_id, tag_id) <= `+strconv.Itoa(listLength)+`
ORDER BY threshold, change, ABS(COALESCE(after_probability, 0) - COALESCE(before_probability, 0)) DESC, image_id, tag_id`,
		func(row func(...any) error) error {
			var t int
			var change, image, tag string
			var n [6]int
			var before, after *float64
			if err := row(&t, &change, &image, &tag, &n[0], &n[1], &n[2], &before, &n[3], &n[4], &n[5], &after); err != nil {
				return err
			}
			line := changed{l.imagePlace(image), l.tags[tag], n[0], n[1], n[2], before, n[3], n[4], n[5], after}
			if change == "fixed" {
				l.page.Changes[t].Fixed = append(l.page.Changes[t].Fixed, line)
			} else {
				l.page.Changes[t].Broken = append(l.page.Changes[t].Broken, line)
			}
			return nil
		})
}

package viewtest

import (
	"database/sql"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/schema"
)

// example is one iteration, written so that a reader can work out its figures.
// A line is a prediction, "image tag probability", or a label, "image tag";
// a detector's with a box behind them: left, top, width and height, one digit
// each, on a grid of eight by eight, or four decimal fractions with commas. The places in an image's list are those of
// its lines. A tag's id is a letter.
type example struct {
	predictions, labels string
	classifier          bool
	multiclass          bool    // a classifier with one tag an image
	side                float64 // of every box, in place of its width and height, if not 0
}

// add adds the rows of an example as an iteration.
func (e example) add(m *made, at place) {
	seen := map[string]int{} // images, and how many lines of each kind they have had
	tags := map[string]bool{}
	line := func(text, kind string, values int) map[string]any {
		fields := strings.Fields(text)
		image, tag := fields[0], fields[1]
		if _, ok := seen[image]; !ok {
			m.add(schema.Images, at, map[string]any{"image_id": image})
			seen[image] = 0
		}
		tags[tag] = true
		row := map[string]any{"image_id": image, "tag_id": tag, "tag_name": "tag " + tag, kind + "_index": seen[image+kind]}
		seen[image+kind]++
		if len(fields) > values {
			fractions := strings.Split(fields[values], ",")
			for i, side := range []string{"left", "top", "width", "height"} {
				if len(fractions) == 4 {
					row["box_"+side] = sqlText(fractions[i] + "::DOUBLE")
					continue
				}
				row["box_"+side] = float64(fields[values][i]-'0') / 8
				if e.side > 0 && i > 1 {
					row["box_"+side] = e.side
				}
			}
		}
		if values == 3 {
			row["probability"] = sqlText(fields[2])
		}
		return row
	}
	for text := range strings.Lines(strings.TrimSpace(e.predictions)) {
		m.add(schema.Predictions, at, line(text, "prediction", 3))
	}
	export := map[string]any{"probability_threshold": 0.5, "overlap_threshold": 0.3, "model_kind": schema.Detection,
		"classification_type": "Multilabel"} // detectors may have it too
	for text := range strings.Lines(strings.TrimSpace(e.labels)) {
		if e.classifier {
			m.add(schema.Tags, at, line(text, "tag", 2))
		} else {
			row := line(text, "region", 2)
			row["region_id"] = fmt.Sprintf("%s-%d", row["image_id"], row["region_index"])
			m.add(schema.Regions, at, row)
		}
	}
	export["classification_type"] = "Multilabel" // of detectors too
	if e.multiclass {
		export["classification_type"] = "Multiclass"
	}
	if e.classifier {
		export["model_kind"] = schema.Classification
	}
	for tag := range tags {
		m.add(schema.TagPerformance, at, map[string]any{"tag_id": tag, "tag_name": "tag " + tag})
	}
	m.add(schema.Exports, at, export)
}

// question is a query and the rows that answer it.
type question struct {
	query string
	rows  []string
}

const (
	outcomes = `SELECT image_id, tag_id, outcome, prediction_index, label_index, round(iou, 4)
		FROM outcomes(%s) ORDER BY image_id, tag_id, prediction_index NULLS LAST, label_index`
	mistakes = `SELECT image_id, mistake, true_tag_id, predicted_tag_id, prediction_index, label_index, round(iou, 4)
		FROM mistakes(%s) ORDER BY image_id, prediction_index NULLS LAST, label_index`
	metrics = `SELECT scope, tag_id, labels, true_positives, false_positives, false_negatives, round(precision, 4), round(recall, 4), round(f1, 4)
		FROM tag_metrics(%s) ORDER BY scope DESC, tag_id`
	curve = `SELECT probability, true_positives, false_positives, round(precision, 4), round(recall, 4), round(interpolated_precision, 4)
		FROM precision_recall_curve(%s) ORDER BY tag_id, probability DESC`
	areas    = `SELECT scope, tag_id, labels, round(average_precision, 4) FROM average_precision(%s) ORDER BY scope DESC, tag_id`
	best     = `SELECT tag_id, probability_threshold, true_positives, false_positives, labels, round(f1, 4) FROM best_threshold(%s) ORDER BY tag_id`
	hardest  = `SELECT place, image_id, round(error, 4), true_positives, false_positives, false_negatives FROM hardest_images(%s) ORDER BY place`
	suspects = `SELECT place, image_id, kind, round(score, 4), predicted_tag_id, labelled_tag_id, prediction_index, label_index FROM label_suspects(%s) ORDER BY place`
	matrix   = `SELECT true_tag_name, predicted_tag_name, cases FROM confusion(%s) ORDER BY ALL`
	changes  = `SELECT image_id, tag_id, change, before_probability, after_probability FROM iteration_changes('project', 'before', 'after', %s) ORDER BY ALL`
	both     = `SELECT scope, tag_id, images, fixed, broken, still_right, still_wrong, before_true_positives, before_false_positives, before_false_negatives, round(before_f1, 4),
		after_true_positives, after_false_positives, after_false_negatives, round(after_f1, 4) FROM comparison('project', 'before', 'after', %s) ORDER BY scope, tag_id`
)

func TestHandWorked(t *testing.T) {
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	for _, tc := range slices.Concat(handWorked, handWorkedSuspects) {
		t.Run(tc.name, func(t *testing.T) {
			m := &made{rows: map[string][]string{}}
			tc.example.add(m, place{"project", "iteration", "export"})
			m.load(t, db)
			for _, q := range tc.questions {
				q.check(t, db)
			}
		})
	}
}

// handWorkedPair has two iterations, before and after, of one project.
func handWorkedPair(t *testing.T) *sql.DB {
	t.Helper()
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	m := &made{rows: map[string][]string{}}
	handWorkedBefore.add(m, place{"project", "before", "one"})
	handWorkedAfter.add(m, place{"project", "after", "two"})
	m.load(t, db)
	return db
}

func TestHandWorkedChanges(t *testing.T) {
	db := handWorkedPair(t)
	handWorkedChanges.check(t, db)
	handWorkedComparison.check(t, db)
}

func (q question) check(t *testing.T, db *sql.DB) {
	t.Helper()
	var got []string
	for _, row := range rowsOf(t, db, q.query).rows {
		var cells []string
		for _, v := range row {
			if v == nil {
				v = "-"
			}
			cells = append(cells, fmt.Sprint(v))
		}
		got = append(got, strings.Join(cells, " "))
	}
	if !reflect.DeepEqual(got, q.rows) {
		t.Errorf("%s\n got:\n  %s\nwant:\n  %s", q.query, strings.Join(got, "\n  "), strings.Join(q.rows, "\n  "))
	}
}

// at asks at thresholds, written as a caller does.
func at(query, arguments string, rows ...string) question {
	return question{fmt.Sprintf(query, arguments), rows}
}

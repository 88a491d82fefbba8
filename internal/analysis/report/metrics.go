package report

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/cvexport/cvexport/internal/analysis/rows"
)

// readMetrics reads tag_metrics at every threshold: by tag for the iteration that is
// shown, in total for all.
func (l *loader) readMetrics() error {
	if err := l.readTags(); err != nil {
		return err
	}
	position := map[string]int{} // of an iteration in the page
	for n, i := range l.page.Iterations {
		position[i.ID] = n
	}
	l.page.Trend = make([][]figures, len(l.page.Thresholds))
	for t := range l.page.Trend {
		l.page.Trend[t] = make([]figures, len(l.page.Iterations))
		l.page.Metrics = append(l.page.Metrics, metrics{Tags: make([]counted, len(l.page.Tags))})
	}
	const query = "SELECT iteration_id, scope, tag_id, true_positives, false_positives, false_negatives, precision, recall, f1 FROM tag_metrics({threshold}, {overlap})"
	type row struct {
		iteration, scope string
		tag              int
		tp, fp, fn       int64
		f                figures
	}
	return each(l, query+" WHERE scope = 'micro' OR iteration_id = "+rows.Quote(l.shown().ID), func(r *row) []any {
		return []any{&r.iteration, &r.scope, l.tag(&r.tag), &r.tp, &r.fp, &r.fn, &r.f[0], &r.f[1], &r.f[2]}
	}, func(t int, r row) {
		at := position[r.iteration]
		if r.scope == "micro" {
			l.page.Trend[t][at] = r.f
		}
		if at != l.page.Shown {
			return
		}
		m := &l.page.Metrics[t]
		m.set(r.scope, r.tag, counted{r.tp, r.fp, r.fn, r.f[0], r.f[1], r.f[2]})
	})
}

// set puts the values of a scope, which is a tag's unless it is micro or macro, in place.
func (m *metrics) set(scope string, tag int, values counted) {
	switch scope {
	case "micro":
		m.Micro = values
	case "macro":
		m.Macro = values
	default:
		m.Tags[tag] = values
	}
}

// readTags reads the tags of the two iterations, in the order of their names.
func (l *loader) readTags() error {
	l.tags = map[string]int{}
	shown := rows.Quote(l.shown().ID)
	// tag_metrics has the same tags at every threshold: those of the iteration, and those
	// that were labelled or predicted.
	var t Tag
	err := l.read(`
SELECT m.tag_id, COALESCE(ARG_MAX(m.tag_name, m.iteration_id = `+shown+`), m.tag_id), COALESCE(MAX(m.labels) FILTER (m.iteration_id = `+shown+`), 0),
  ANY_VALUE(p.image_count), ANY_VALUE(p.precision), ANY_VALUE(p.recall), ANY_VALUE(p.average_precision)
FROM tag_metrics(`+double(l.page.Thresholds[0])+`, `+double(l.page.Overlap)+`) AS m
LEFT JOIN tag_performance AS p ON p.project_id = m.project_id AND p.iteration_id = m.iteration_id AND p.tag_id = m.tag_id AND p.iteration_id = `+shown+`
WHERE m.scope = 'tag' AND m.iteration_id IN (`+l.both()+`)
GROUP BY m.tag_id`,
		[]any{&t.ID, &t.Name, &t.Labels, &t.Training, &t.Service[0], &t.Service[1], &t.Service[2]},
		func() { l.page.Tags = append(l.page.Tags, t) })
	if err != nil {
		return err
	}
	slices.SortFunc(l.page.Tags, func(a, b Tag) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	for n, t := range l.page.Tags {
		l.tags[t.ID] = n
	}
	return nil
}

// tag scans a tag's id as its position in the page, and NULL as -1. readTags has read
// every tag, so a missing one means that the functions disagree about the tags.
func (l *loader) tag(n *int) sql.Scanner { return tagScanner{l.tags, n} }

type tagScanner struct {
	tags map[string]int
	n    *int
}

func (s tagScanner) Scan(id any) error {
	if id == nil {
		*s.n = -1
		return nil
	}
	n, ok := s.tags[fmt.Sprint(id)]
	if !ok {
		return fmt.Errorf("tag %q is not one of the tags of tag_metrics", id)
	}
	*s.n = n
	return nil
}

// readCurves reads the precision-recall curves, the best thresholds and the average
// precisions.
func (l *loader) readCurves() error {
	overlap, shown := double(l.page.Overlap), rows.Quote(l.shown().ID)
	var iteration string
	var tag int
	var area *float64
	err := l.read(`SELECT iteration_id, tag_id, average_precision FROM average_precision(`+overlap+`)
WHERE iteration_id IN (`+l.both()+`)`, []any{&iteration, l.tag(&tag), &area}, func() {
		shown, before := &l.page.AveragePrecision, &l.page.AveragePrecisionBefore
		if tag >= 0 {
			shown, before = &l.page.Tags[tag].AveragePrecision, &l.page.Tags[tag].Before
		}
		if iteration == l.shown().ID {
			*shown = area
		} else {
			*before = area
		}
	})
	if err != nil {
		return err
	}
	var best [4]*float64
	err = l.read(`SELECT tag_id, probability_threshold, precision, recall, f1 FROM best_threshold(`+overlap+`) WHERE iteration_id = `+shown, []any{l.tag(&tag), &best[0], &best[1], &best[2], &best[3]}, func() {
		l.page.Tags[tag].Best = slices.Clone(best[:])
	})
	if err != nil {
		return err
	}
	var p point
	curves := make([][]point, len(l.page.Tags))
	err = l.read(`SELECT tag_id, recall, precision, probability FROM precision_recall_curve(`+overlap+`) WHERE iteration_id = `+shown+` ORDER BY tag_id, probability DESC`, []any{l.tag(&tag), &p.recall, &p.precision, &p.threshold}, func() {
		curves[tag] = append(curves[tag], p)
		l.page.CurvePoints++
	})
	if err != nil {
		return err
	}
	for tag, curve := range curves {
		l.page.Tags[tag].Curve = [][3]any{}
		for _, p := range thin(curve) {
			l.page.Tags[tag].Curve = append(l.page.Tags[tag].Curve, [3]any{short(p.recall), short(p.precision), short(p.threshold)})
		}
	}
	return nil
}

// point is a point of a precision-recall curve.
type point struct{ recall, precision, threshold float64 }

// curveColumns is how many columns wide a drawn curve is assumed to be.
const curveColumns = 80

// thin keeps the points that change the drawing: the first, the last, the highest and
// the lowest in each column. The points must be in order of recall.
func thin(curve []point) []point {
	if len(curve) <= 2*curveColumns {
		return curve
	}
	var kept []point
	for from := 0; from < len(curve); {
		column := int(curve[from].recall * curveColumns)
		to := from
		low, high := from, from
		for ; to < len(curve) && int(curve[to].recall*curveColumns) == column; to++ {
			if curve[to].precision < curve[low].precision {
				low = to
			}
			if curve[to].precision > curve[high].precision {
				high = to
			}
		}
		keep := []int{from, low, high, to - 1}
		slices.Sort(keep)
		for _, n := range slices.Compact(keep) {
			kept = append(kept, curve[n])
		}
		from = to
	}
	return kept
}

// short rounds a number that is only drawn to six significant digits. It does not
// round up to 1, because a threshold of 1 would be wrong.
func short(f float64) json.Number {
	text := strconv.FormatFloat(f, 'g', 6, 64)
	if text == "1" && f < 1 {
		text = "0.999999"
	}
	return json.Number(text)
}

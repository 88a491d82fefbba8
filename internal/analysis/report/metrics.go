package report

import (
	"cmp"
	"slices"
)

// readMetrics reads tag_metrics at every threshold: of the two iterations by
// tag, of every iteration together.
func (l *loader) readMetrics() error {
	if err := l.readTags(); err != nil {
		return err
	}
	place := map[string]int{}
	for n, i := range l.page.Iterations {
		place[i.ID] = n
	}
	l.page.Trend = make([][]figures, len(l.page.Thresholds))
	for t := range l.page.Trend {
		l.page.Trend[t] = make([]figures, len(l.page.Iterations))
		l.page.Metrics = append(l.page.Metrics, metrics{Tags: make([]counted, len(l.page.Tags))})
		if l.page.Compared >= 0 {
			l.page.Before = append(l.page.Before, metrics{Tags: make([]counted, len(l.page.Tags))})
		}
	}
	const query = "SELECT iteration_id, scope, COALESCE(tag_id, ''), true_positives, false_positives, false_negatives, precision, recall, f1 FROM tag_metrics({threshold}, {overlap})"
	return l.each(query+" WHERE scope = 'micro' OR iteration_id IN ("+l.both()+")", func(t int, scan func(...any) error) (func(), error) {
		var iteration, scope, tag string
		var tp, fp, fn int64
		var f figures
		err := scan(&iteration, &scope, &tag, &tp, &fp, &fn, &f[0], &f[1], &f[2])
		return func() {
			at := place[iteration]
			if scope == "micro" {
				l.page.Trend[t][at] = f
			}
			var into *metrics
			switch at {
			case l.page.Shown:
				into = &l.page.Metrics[t]
			case l.page.Compared:
				into = &l.page.Before[t]
			default:
				return
			}
			line := counted{tp, fp, fn, f[0], f[1], f[2]}
			switch scope {
			case "micro":
				into.Micro = line
			case "macro":
				into.Macro = line
			default:
				into.Tags[l.tags[tag]] = line
			}
		}, err
	})
}

// readTags lists the tags of the two iterations, by name.
func (l *loader) readTags() error {
	l.tags = map[string]int{}
	shown := quote(l.shown().ID)
	// One threshold names them all: every tag is a tag of the iteration, or one
	// that was labelled or predicted.
	err := l.read(`
SELECT m.tag_id, COALESCE(ARG_MAX(m.tag_name, m.iteration_id = `+shown+`), m.tag_id), COALESCE(MAX(m.labels) FILTER (m.iteration_id = `+shown+`), 0),
  ANY_VALUE(p.image_count), ANY_VALUE(p.precision), ANY_VALUE(p.recall), ANY_VALUE(p.average_precision)
FROM tag_metrics(`+double(l.page.Thresholds[0])+`, `+double(l.page.Overlap)+`) AS m
LEFT JOIN tag_performance AS p ON p.project_id = m.project_id AND p.iteration_id = m.iteration_id AND p.tag_id = m.tag_id AND p.iteration_id = `+shown+`
WHERE m.scope = 'tag' AND m.iteration_id IN (`+l.both()+`)
GROUP BY m.tag_id`,
		func(row func(...any) error) error {
			var t Tag
			err := row(&t.ID, &t.Name, &t.Labels, &t.Training, &t.Service[0], &t.Service[1], &t.Service[2])
			if err != nil {
				return err
			}
			l.page.Tags = append(l.page.Tags, t)
			return nil
		})
	if err != nil {
		return err
	}
	slices.SortFunc(l.page.Tags, func(a, b Tag) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	for n, t := range l.page.Tags {
		l.tags[t.ID] = n
	}
	return nil
}

// readCurves reads the precision-recall curves, the best thresholds and the
// average precisions.
func (l *loader) readCurves() error {
	overlap, shown := double(l.page.Overlap), quote(l.shown().ID)
	err := l.read(`SELECT iteration_id, COALESCE(tag_id, ''), average_precision FROM average_precision(`+overlap+`)
WHERE iteration_id IN (`+l.both()+`)`, func(row func(...any) error) error {
		var iteration, tag string
		var area *float64
		if err := row(&iteration, &tag, &area); err != nil {
			return err
		}
		now := iteration == l.shown().ID
		switch at, ok := l.tags[tag]; {
		case tag == "" && now:
			l.page.AveragePrecision = area
		case tag == "":
			l.page.AveragePrecisionBefore = area
		case ok && now:
			l.page.Tags[at].AveragePrecision = area
		case ok:
			l.page.Tags[at].Before = area
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = l.read(`SELECT tag_id, probability_threshold, precision, recall, f1 FROM best_threshold(`+overlap+`) WHERE iteration_id = `+shown, func(row func(...any) error) error {
		var tag string
		best := make([]*float64, 4)
		if err := row(&tag, &best[0], &best[1], &best[2], &best[3]); err != nil {
			return err
		}
		if at, ok := l.tags[tag]; ok {
			l.page.Tags[at].Best = best
		}
		return nil
	})
	if err != nil {
		return err
	}
	curves := make([][]point, len(l.page.Tags))
	err = l.read(`SELECT tag_id, recall, precision, probability FROM precision_recall_curve(`+overlap+`) WHERE iteration_id = `+shown+` ORDER BY tag_id, probability DESC`, func(row func(...any) error) error {
		var tag string
		var p point
		if err := row(&tag, &p.recall, &p.precision, &p.threshold); err != nil {
			return err
		}
		at := l.tags[tag]
		curves[at] = append(curves[at], p)
		l.page.CurvePoints++
		return nil
	})
	if err != nil {
		return err
	}
	for at, curve := range curves {
		l.page.Tags[at].Curve = [][3]any{}
		for _, p := range thin(curve) {
			l.page.Tags[at].Curve = append(l.page.Tags[at].Curve, [3]any{short(p.recall), short(p.precision), short(p.threshold)})
		}
	}
	return nil
}

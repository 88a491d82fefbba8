package viewtest

import (
	"math"
	"sort"

	"github.com/cvexport/cvexport/schema"
)

// arguments are what a function is called with; views and functions take of
// them what they have.
type arguments struct {
	probabilityThreshold, overlapThreshold float64
	before, after                          place
}

// oracles give the rows that each view and function should have, in any order.
var oracles = map[string]func(w *warehouse, a arguments) [][]any{
	"current_images":      func(w *warehouse, _ arguments) [][]any { return w.current(schema.Images) },
	"current_predictions": func(w *warehouse, _ arguments) [][]any { return w.current(schema.Predictions) },
	"current_tags":        func(w *warehouse, _ arguments) [][]any { return w.current(schema.Tags) },
	"current_regions":     func(w *warehouse, _ arguments) [][]any { return w.current(schema.Regions) },
	"export_health":       func(w *warehouse, _ arguments) [][]any { return w.exportHealth() },
	"iteration_changes":   (*warehouse).iterationChanges,
	"comparison":          (*warehouse).comparison,

	"model_kinds":            each((*evaluation).modelKind),
	"current_labels":         each((*evaluation).labelRows),
	"outcomes":               each((*evaluation).outcomeRows),
	"mistakes":               each((*evaluation).mistakeRows),
	"confusion":              each((*evaluation).confusion),
	"tag_metrics":            each((*evaluation).tagMetrics),
	"precision_recall_curve": each((*evaluation).precisionRecallCurve),
	"average_precision":      each((*evaluation).averagePrecision),
	"best_threshold":         each((*evaluation).bestThreshold),
	"hardest_images":         each((*evaluation).hardestImages),
	"label_suspects":         each((*evaluation).labelSuspects),
}

// each puts the rows of all iterations one after another, with their ids in front.
func each(rows func(*evaluation, arguments) [][]any) func(*warehouse, arguments) [][]any {
	return func(w *warehouse, a arguments) (all [][]any) {
		for _, e := range w.evaluations() {
			for _, row := range rows(&e, a) {
				all = append(all, append([]any{e.ProjectID, e.IterationID}, row...))
			}
		}
		return all
	}
}

// value is what a pointer points to, or nil.
func value[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// ratio is a share of something, or nil if there is nothing.
func ratio(part, whole int64) *float64 {
	if whole == 0 {
		return nil
	}
	r := float64(part) / float64(whole)
	return &r
}

func minus(a, b *float64) any {
	if a == nil || b == nil {
		return nil
	}
	return *a - *b
}

func (w *warehouse) current(table schema.Table) (all [][]any) {
	got := w.tables[table.Name]
	column := map[string]int{}
	for i, name := range got.columns {
		column[name] = i
	}
	for _, values := range got.rows {
		for _, export := range w.exports {
			if values[column["project_id"]] != export.ProjectID || values[column["iteration_id"]] != export.IterationID {
				continue
			}
			row := []any{export.ProjectID, export.IterationID}
			for _, c := range table.Columns {
				row = append(row, values[column[c.Name]])
			}
			all = append(all, row)
		}
	}
	return all
}

func (w *warehouse) exportHealth() (all [][]any) {
	for _, export := range w.exports {
		recorded := map[string]int64{
			"images": export.Images, "predictions": export.Predictions, "tags": export.Tags,
			"regions": export.Regions, "tag_performance": export.TagPerformance,
		}
		found, others := map[string]int64{}, map[string]int64{}
		count := func(table string, p place) {
			if p.ProjectID == export.ProjectID && p.IterationID == export.IterationID {
				found[table]++
				if p.ExportID != export.ExportID {
					others[table]++
				}
			}
		}
		for _, row := range w.images {
			count("images", row.place)
		}
		for _, row := range w.predictions {
			count("predictions", row.place)
		}
		for _, row := range w.tags {
			count("tags", row.place)
		}
		for _, row := range w.regions {
			count("regions", row.place)
		}
		for _, row := range w.tagPerformance {
			count("tag_performance", row.place)
		}
		for table, rows := range recorded {
			problem := ""
			if found[table] != rows {
				problem = "row_count"
			}
			if others[table] > 0 {
				problem = "other_export"
			}
			if problem != "" {
				all = append(all, []any{export.ProjectID, export.IterationID, table, export.ExportID, rows, found[table], others[table], problem})
			}
		}
	}
	return all
}

func (e *evaluation) labelRows(arguments) (all [][]any) {
	for _, l := range e.labels {
		all = append(all, append([]any{l.imageID, l.index, l.tagID, value(l.tagName), value(l.regionID)}, l.box.values()...))
	}
	return all
}

func (b box) values() []any {
	return []any{value(b.BoxLeft), value(b.BoxTop), value(b.BoxWidth), value(b.BoxHeight)}
}

func (e *evaluation) outcomeRows(a arguments) (all [][]any) {
	for _, o := range e.outcomes(a.probabilityThreshold, a.overlapThreshold) {
		tagID, tagName := o.tag()
		row := []any{o.imageID(), o.kind, tagID, value(tagName), nil, nil, nil, nil, value(o.iou)}
		if o.prediction != nil {
			row[4], row[5] = o.prediction.Probability, o.prediction.PredictionIndex
		}
		if o.label != nil {
			row[6], row[7] = o.label.index, value(o.label.regionID)
		}
		if o.prediction != nil {
			row = append(row, o.prediction.box.values()...)
		} else {
			row = append(row, o.label.box.values()...)
		}
		all = append(all, row)
	}
	return all
}

func (e *evaluation) mistakeRows(a arguments) (all [][]any) {
	for _, m := range e.mistakes(a.probabilityThreshold, a.overlapThreshold) {
		row := []any{m.imageID(), m.kind, nil, nil, nil, nil, nil, nil, nil, nil, value(m.iou)}
		if m.kind != unlabelled {
			row[2], row[3] = m.label.tagID, value(m.label.tagName)
		}
		if m.prediction != nil {
			row[4], row[5], row[6], row[7] = m.prediction.TagID, value(m.prediction.TagName), m.prediction.Probability, m.prediction.PredictionIndex
		}
		if m.label != nil {
			row[8], row[9] = m.label.index, value(m.label.regionID)
		}
		all = append(all, row)
	}
	return all
}

func (e *evaluation) confusion(a arguments) (all [][]any) {
	type pair struct{ labelled, predicted string } // empty: background, missed
	cases := map[pair]int64{}
	for _, o := range e.outcomes(a.probabilityThreshold, a.overlapThreshold) {
		if o.kind == truePositive {
			cases[pair{o.label.tagID, o.prediction.TagID}]++
		}
	}
	for _, m := range e.mistakes(a.probabilityThreshold, a.overlapThreshold) {
		switch m.kind {
		case confused:
			cases[pair{m.label.tagID, m.prediction.TagID}]++
		case unlabelled:
			cases[pair{"", m.prediction.TagID}]++
		case missed:
			cases[pair{m.label.tagID, ""}]++
		}
	}
	for p, n := range cases {
		row := []any{p.labelled, value(e.tagName(p.labelled)), p.predicted, value(e.tagName(p.predicted)), n, e.limited()}
		if p.labelled == "" {
			row[0], row[1] = nil, "background"
		}
		if p.predicted == "" {
			row[2], row[3] = nil, "missed"
		}
		all = append(all, row)
	}
	return all
}

// tally counts a tag's outcomes.
type tally struct{ labels, truePositives, falsePositives, falseNegatives int64 }

func (c tally) precision() *float64 {
	return ratio(c.truePositives, c.truePositives+c.falsePositives)
}
func (c tally) recall() *float64 { return ratio(c.truePositives, c.labels) }
func (c tally) f1() *float64 {
	return ratio(2*c.truePositives, 2*c.truePositives+c.falsePositives+c.falseNegatives)
}

func (c *tally) add(kind string) {
	switch kind {
	case truePositive:
		c.labels++
		c.truePositives++
	case falsePositive:
		c.falsePositives++
	case falseNegative:
		c.labels++
		c.falseNegatives++
	}
}

func (e *evaluation) tally(tagID string, outcomes []outcome) (c tally) {
	for _, o := range outcomes {
		if id, _ := o.tag(); id == tagID {
			c.add(o.kind)
		}
	}
	return c
}

func (e *evaluation) figuresOf(tagID string) (f tagPerformanceRow) {
	for _, row := range e.figures {
		if row.TagID == tagID {
			f = row
		}
	}
	return f
}

func (e *evaluation) tagMetrics(a arguments) (all [][]any) {
	outcomes := e.outcomes(a.probabilityThreshold, a.overlapThreshold)
	same := !e.isFiltered() && a.probabilityThreshold == e.ProbabilityThreshold && (!e.isDetector() || a.overlapThreshold == e.OverlapThreshold)
	row := func(scope string, tagID any, name any, c tally, precision, recall, f1, servicePrecision, serviceRecall *float64) {
		values := []any{scope, tagID, name, c.labels, c.truePositives, c.falsePositives, c.falseNegatives,
			value(precision), value(recall), value(f1), value(servicePrecision), value(serviceRecall), nil, nil, e.limited()}
		if same {
			values[12], values[13] = minus(precision, servicePrecision), minus(recall, serviceRecall)
		}
		all = append(all, values)
	}
	var total tally
	var counted int64
	var precision, recall, f1 float64
	orZero := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	for _, id := range e.tagIDs() {
		c, f := e.tally(id, outcomes), e.figuresOf(id)
		if f.TagID == "" && c == (tally{}) {
			continue // not one of the iteration's tags, and without a case
		}
		row("tag", id, value(e.tagName(id)), c, c.precision(), c.recall(), c.f1(), f.Precision, f.Recall)
		total.labels += c.labels
		total.truePositives += c.truePositives
		total.falsePositives += c.falsePositives
		total.falseNegatives += c.falseNegatives
		if c.labels+c.falsePositives > 0 {
			counted++
			precision += orZero(c.precision())
			recall += orZero(c.recall())
			f1 += orZero(c.f1())
		}
	}
	if len(all) == 0 {
		return nil
	}
	row("micro", nil, nil, total, total.precision(), total.recall(), total.f1(), e.Precision, e.Recall)
	if counted > 0 {
		n := float64(counted)
		precision, recall, f1 = precision/n, recall/n, f1/n
		row("macro", nil, nil, total, &precision, &recall, &f1, e.Precision, e.Recall)
	} else {
		row("macro", nil, nil, total, nil, nil, nil, e.Precision, e.Recall)
	}
	return all
}

// point is a point of a tag's precision-recall curve.
type point struct {
	probability           float64
	truePositives         int64
	falsePositives        int64
	precision, recall     float64
	interpolatedPrecision float64
}

// curve has a point for each probability that a right prediction has, the surest
// first.
func (e *evaluation) curve(tagID string, overlapThreshold float64) (points []point, labels int64) {
	outcomes := e.outcomes(math.Inf(-1), overlapThreshold)
	labels = e.tally(tagID, outcomes).labels
	at := map[float64]bool{}
	for _, o := range outcomes {
		if id, _ := o.tag(); id == tagID && o.kind == truePositive && !at[o.prediction.Probability] {
			at[o.prediction.Probability] = true
			p := point{probability: o.prediction.Probability}
			for _, other := range outcomes {
				if id, _ := other.tag(); id != tagID || other.prediction == nil || other.prediction.Probability < p.probability {
					continue
				}
				if other.kind == truePositive {
					p.truePositives++
				} else {
					p.falsePositives++
				}
			}
			p.precision = float64(p.truePositives) / float64(p.truePositives+p.falsePositives)
			p.recall = float64(p.truePositives) / float64(labels)
			points = append(points, p)
		}
	}
	for i := range points {
		for _, other := range points {
			if other.recall >= points[i].recall {
				points[i].interpolatedPrecision = max(points[i].interpolatedPrecision, other.precision)
			}
		}
	}
	sort.Slice(points, func(i, j int) bool { return points[i].probability > points[j].probability })
	return points, labels
}

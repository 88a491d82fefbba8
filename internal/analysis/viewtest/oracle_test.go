package viewtest

import "sort"

// This file and oracle_metrics_test.go say once more what the views and functions
// of package schema mean: in loops over rows, from their descriptions, without SQL
// and as plainly as can be. The tests compare the two row for row.

// label is what a prediction is judged by: a region, or a tag of an image.
type label struct {
	imageID  string
	index    int32
	tagID    string
	tagName  *string
	regionID *string
	box      box
}

// evaluation is one iteration that has a committed export.
type evaluation struct {
	exportRow
	images      []imageRow
	predictions []predictionRow
	labels      []label
	figures     []tagPerformanceRow
}

// isDetector says what the export says. An older one does not say it, and its rows do.
func (e *evaluation) isDetector() bool {
	if e.ModelKind != nil {
		return *e.ModelKind == "detection"
	}
	for _, p := range e.predictions {
		if p.BoxLeft != nil {
			return true
		}
	}
	return e.Regions > 0
}

func (e *evaluation) modelKind(arguments) [][]any {
	if e.isDetector() {
		return [][]any{{"detection"}}
	}
	return [][]any{{"classification"}}
}

// evaluations are all iterations with a committed export.
func (w *warehouse) evaluations() (all []evaluation) {
	for _, export := range w.exports {
		e := evaluation{exportRow: export}
		here := func(p place) bool { return p.ProjectID == e.ProjectID && p.IterationID == e.IterationID }
		for _, row := range w.images {
			if here(row.place) {
				e.images = append(e.images, row)
			}
		}
		for _, row := range w.predictions {
			if here(row.place) {
				e.predictions = append(e.predictions, row)
			}
		}
		for _, row := range w.tagPerformance {
			if here(row.place) {
				e.figures = append(e.figures, row)
			}
		}
		if e.isDetector() {
			for _, row := range w.regions {
				if here(row.place) {
					e.labels = append(e.labels, label{row.ImageID, row.RegionIndex, row.TagID, row.TagName, &row.RegionID, row.box})
				}
			}
		} else {
			for _, row := range w.tags {
				if here(row.place) && row == w.firstOf(row) {
					e.labels = append(e.labels, label{row.ImageID, row.TagIndex, row.TagID, w.nameOf(row), nil, box{}})
				}
			}
		}
		sort.SliceStable(e.labels, func(i, j int) bool { return e.labels[i].index < e.labels[j].index })
		all = append(all, e)
	}
	return all
}

// sameTag are the rows that say that the same image has the same tag.
func (w *warehouse) sameTag(row tagRow) (same []tagRow) {
	for _, other := range w.tags {
		if other.ProjectID == row.ProjectID && other.IterationID == row.IterationID && other.ImageID == row.ImageID && other.TagID == row.TagID {
			same = append(same, other)
		}
	}
	return same
}

func (w *warehouse) firstOf(row tagRow) tagRow {
	for _, other := range w.sameTag(row) {
		if other.TagIndex < row.TagIndex {
			row = other
		}
	}
	return row
}

// nameOf is the tag's name, if any of its rows has it.
func (w *warehouse) nameOf(row tagRow) (name *string) {
	for _, other := range w.sameTag(row) {
		if other.TagName != nil && (name == nil || *other.TagName < *name) {
			name = other.TagName
		}
	}
	return name
}

// intersectionOverUnion is that of two boxes. They meet if what they share has
// a width and a height and is more than a billionth of their union, and they are not
// too small to have one.
func intersectionOverUnion(a, b box) (iou float64, meet bool) {
	if a.BoxLeft == nil || b.BoxLeft == nil {
		return 0, false
	}
	width := min(*a.BoxLeft+*a.BoxWidth, *b.BoxLeft+*b.BoxWidth) - max(*a.BoxLeft, *b.BoxLeft)
	height := min(*a.BoxTop+*a.BoxHeight, *b.BoxTop+*b.BoxHeight) - max(*a.BoxTop, *b.BoxTop)
	if width <= 0 || height <= 0 {
		return 0, false
	}
	both := width * height
	union := *a.BoxWidth**a.BoxHeight + *b.BoxWidth**b.BoxHeight - both
	if !(union > 0) || both/union <= 1e-9 {
		return 0, false
	}
	return both / union, true
}

// reaches tells whether an overlap is as large as a threshold, within 1e-9.
func reaches(iou, threshold float64) bool { return iou >= threshold-1e-9 }

// The outcomes.
const (
	truePositive  = "true_positive"
	falsePositive = "false_positive"
	falseNegative = "false_negative"
)

// outcome is a prediction that was judged, or a label that was missed.
type outcome struct {
	kind       string
	prediction *predictionRow // nil if missed
	label      *label         // found, compared with, or missed; nil if there is none
	iou        *float64       // of the two boxes
}

func (o *outcome) imageID() string {
	if o.prediction != nil {
		return o.prediction.ImageID
	}
	return o.label.imageID
}

func (o *outcome) tag() (id string, name *string) {
	if o.prediction != nil {
		return o.prediction.TagID, o.prediction.TagName
	}
	return o.label.tagID, o.label.tagName
}

// outcomes judges every prediction from the probability threshold on.
func (e *evaluation) outcomes(probabilityThreshold, overlapThreshold float64) (all []outcome) {
	var judged []*predictionRow
	for i := range e.predictions {
		if e.predictions[i].Probability >= probabilityThreshold {
			judged = append(judged, &e.predictions[i])
		}
	}
	sort.Slice(judged, func(i, j int) bool {
		if judged[i].Probability != judged[j].Probability {
			return judged[i].Probability > judged[j].Probability
		}
		return judged[i].PredictionIndex < judged[j].PredictionIndex
	})
	taken := make([]bool, len(e.labels))
	for _, prediction := range judged {
		best, iou := -1, (*float64)(nil)
		for i, l := range e.labels {
			if l.imageID != prediction.ImageID || l.tagID != prediction.TagID {
				continue
			}
			if !e.isDetector() {
				best = i
				continue
			}
			if overlap, meet := intersectionOverUnion(prediction.box, l.box); meet && (best < 0 || overlap > *iou) {
				best, iou = i, &overlap
			}
		}
		o := outcome{kind: falsePositive, prediction: prediction, iou: iou}
		if best >= 0 {
			o.label = &e.labels[best]
			if !taken[best] && (iou == nil || reaches(*iou, overlapThreshold)) {
				o.kind, taken[best] = truePositive, true
			}
		}
		all = append(all, o)
	}
	for i := range e.labels {
		if !taken[i] {
			all = append(all, outcome{kind: falseNegative, label: &e.labels[i]})
		}
	}
	return all
}

// The mistakes.
const (
	confused   = "confused"
	unlabelled = "unlabelled"
	missed     = "missed"
)

// mistake is a wrong prediction, a missed label, or both at once.
type mistake struct {
	kind string
	outcome
}

// mistakes puts wrong predictions and missed labels together.
func (e *evaluation) mistakes(probabilityThreshold, overlapThreshold float64) (all []mistake) {
	outcomes := e.outcomes(probabilityThreshold, overlapThreshold)
	paired := map[*label]bool{}
	for _, o := range outcomes { // the surest first
		if o.kind != falsePositive {
			continue
		}
		m := mistake{unlabelled, o}
		if e.isDetector() {
			var best *label
			var iou float64
			for _, other := range outcomes {
				if other.kind != falseNegative || other.imageID() != o.imageID() || other.label.tagID == o.prediction.TagID {
					continue
				}
				if overlap, meet := intersectionOverUnion(o.prediction.box, other.label.box); meet && (best == nil || overlap > iou) {
					best, iou = other.label, overlap
				}
			}
			if best != nil && reaches(iou, overlapThreshold) && !paired[best] {
				paired[best] = true
				m = mistake{confused, outcome{prediction: o.prediction, label: best, iou: &iou}}
			}
		} else {
			var wrong, missing []outcome // of this image
			for _, other := range outcomes {
				if other.imageID() == o.imageID() && other.kind == falsePositive {
					wrong = append(wrong, other)
				}
				if other.imageID() == o.imageID() && other.kind == falseNegative {
					missing = append(missing, other)
				}
			}
			for k := range wrong {
				if wrong[k].prediction == o.prediction && k < len(missing) && missing[k].label.tagID != o.prediction.TagID {
					paired[missing[k].label] = true
					m = mistake{confused, outcome{prediction: o.prediction, label: missing[k].label}}
				}
			}
		}
		all = append(all, m)
	}
	for _, o := range outcomes {
		if o.kind == falseNegative && !paired[o.label] {
			all = append(all, mistake{missed, o})
		}
	}
	return all
}

// tagName is a name that the rows of an iteration have for a tag; nil if none has.
func (e *evaluation) tagName(tagID string) (name *string) {
	use := func(id string, n *string) {
		if id == tagID {
			name = later(name, n)
		}
	}
	for _, p := range e.predictions {
		use(p.TagID, p.TagName)
	}
	for _, l := range e.labels {
		use(l.tagID, l.tagName)
	}
	for _, f := range e.figures {
		use(f.TagID, f.TagName)
	}
	return name
}

// tagIDs are those of everything that an iteration has of a tag.
func (e *evaluation) tagIDs() (ids []string) {
	seen := map[string]bool{}
	use := func(id string) {
		if !seen[id] {
			seen[id], ids = true, append(ids, id)
		}
	}
	for _, p := range e.predictions {
		use(p.TagID)
	}
	for _, l := range e.labels {
		use(l.tagID)
	}
	for _, f := range e.figures {
		use(f.TagID)
	}
	sort.Strings(ids)
	return ids
}

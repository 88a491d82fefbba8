package viewtest

import (
	"math"
	"slices"
	"sort"
)

// tagUse is how sure the model is of a tag, here and there.
type tagUse struct {
	labelled, elsewhere        float64 // its mean probability where it is labelled, and where it is not
	hasLabels                  bool
	agreed, unlabelled, denied float64 // confident predictions with and without the label, labels that it denies
}

// suspect is a label that looks wrong, or is missing.
type suspect struct {
	kind       string
	score      float64
	prediction *predictionRow
	label      *label
	iou        *float64
}

// nineDigits cuts a probability.
func nineDigits(p float64) int64 { return int64(math.Floor(p * 1e9)) }

// isUnlabelled: the prediction finds no label, and is not a second one of a label that is found.
func (o outcome) isUnlabelled(overlapThreshold float64) bool {
	return o.kind == falsePositive && (o.label == nil || o.iou != nil && !reaches(*o.iou, overlapThreshold))
}

// labelProbability is that of the prediction that finds the label.
func (o outcome) labelProbability() float64 {
	if o.kind == truePositive {
		return o.prediction.Probability
	}
	return 0
}

// usuals are those of all tags.
func (e *evaluation) usuals(outcomes []outcome, overlapThreshold float64) map[string]tagUse {
	all := map[string]tagUse{}
	for _, id := range e.tagIDs() {
		var u tagUse
		var here, there, labels, places int64
		for _, o := range outcomes {
			if tag, _ := o.tag(); tag != id {
				continue
			}
			if o.kind != falsePositive {
				here, labels = here+nineDigits(o.labelProbability()), labels+1
			} else if o.isUnlabelled(overlapThreshold) {
				there, places = there+nineDigits(o.prediction.Probability), places+1
			}
		}
		if !e.isDetector() {
			places = int64(len(e.images)) - labels
		}
		if u.hasLabels = labels > 0; u.hasLabels {
			u.labelled = float64(here) / float64(labels) / 1e9
		}
		if places > 0 {
			u.elsewhere = float64(there) / float64(places) / 1e9
		}
		for _, o := range outcomes {
			if tag, _ := o.tag(); tag != id {
				continue
			}
			switch {
			case o.isUnlabelled(overlapThreshold):
				if o.prediction.Probability >= u.labelled {
					u.unlabelled++
				}
			case o.kind != falsePositive:
				if o.labelProbability() >= u.labelled {
					u.agreed++
				}
				if o.labelProbability() <= u.elsewhere {
					u.denied++
				}
			}
		}
		all[id] = u
	}
	return all
}

// speaks: what the model says of the tag says something about labels.
func (e *evaluation) speaks(u tagUse) bool {
	return u.hasLabels && (e.isDetector() || u.labelled > u.elsewhere)
}

// against is how little a doubt is beside the usual one.
func against(doubt, usualDoubt float64) float64 {
	if doubt+usualDoubt == 0 {
		return 1
	}
	return 1 - doubt/(usualDoubt+doubt)
}

func rounded(score float64) float64 { return math.Round(score*1e9) / 1e9 }

// claims are the suspects that predictions give rise to, several of one label or place too.
func (e *evaluation) claims(outcomes []outcome, usuals map[string]tagUse, overlapThreshold float64) (all []suspect) {
	sureOf := map[*label]float64{}
	for _, o := range outcomes {
		if o.kind != falsePositive {
			sureOf[o.label] = o.labelProbability()
		}
	}
	confident := func(o outcome) bool {
		return o.prediction != nil && o.prediction.Probability > 0 && o.prediction.Probability >= usuals[o.prediction.TagID].labelled && e.speaks(usuals[o.prediction.TagID])
	}
	competes := func(o outcome) bool { return o.kind == truePositive || o.isUnlabelled(overlapThreshold) }
	for _, o := range outcomes {
		if !confident(o) || !o.isUnlabelled(overlapThreshold) {
			continue
		}
		u := usuals[o.prediction.TagID]
		presence := 1 - (1-o.prediction.Probability)/max(2-u.labelled-o.prediction.Probability, 1e-300)
		if o.prediction.Probability == 1 {
			presence = 1
		}
		trust := 1.0
		if !e.isDetector() {
			trust = u.agreed / (u.agreed + u.unlabelled)
		}
		claim := func(kind string, l *label, iou *float64) {
			absence := 1.0
			if l != nil {
				absence = against(sureOf[l], usuals[l.tagID].elsewhere)
			}
			all = append(all, suspect{kind, rounded(presence * absence * trust), o.prediction, l, iou})
		}
		switch {
		case e.isDetector():
			var other *label
			var most float64
			for i := range e.labels {
				l := &e.labels[i]
				if iou, meet := intersectionOverUnion(o.prediction.box, l.box); l.imageID == o.imageID() && l.tagID != o.prediction.TagID &&
					meet && reaches(iou, overlapThreshold) && (other == nil || iou > most) {
					other, most = l, iou
				}
			}
			switch {
			case other != nil:
				claim("swapped", other, &most)
			case o.label == nil:
				claim("overlooked", nil, nil)
			case sureOf[o.label] < u.labelled:
				claim("badly_placed", o.label, o.iou)
			}
		case e.method() == "Multilabel":
			claim("overlooked", nil, nil)
		default:
			beaten := false
			for _, p := range outcomes {
				if p.imageID() != o.imageID() || !confident(p) || !competes(p) || p.prediction == o.prediction {
					continue
				}
				switch a, b := p.prediction, o.prediction; {
				case a.Probability != b.Probability:
					beaten = beaten || a.Probability > b.Probability
				case p.kind == truePositive || a.PredictionIndex < b.PredictionIndex:
					beaten = true
				}
			}
			if beaten {
				continue
			}
			labelled := false
			for i := range e.labels {
				if e.labels[i].imageID == o.imageID() {
					labelled = true
					claim("swapped", &e.labels[i], nil)
				}
			}
			if !labelled {
				claim("overlooked", nil, nil)
			}
		}
	}
	return all
}

// method is what the export says of a classifier, or else whether an image has several tags.
func (e *evaluation) method() string {
	if e.ClassificationType != nil {
		return *e.ClassificationType
	}
	for _, l := range e.labels {
		if l.index > 0 {
			return "Multilabel"
		}
	}
	return "Multiclass"
}

// overshadows: both are about the same label or place, and b is the more suspect.
func (e *evaluation) overshadows(b, c suspect, overlapThreshold float64) bool {
	if b.prediction.ImageID != c.prediction.ImageID || b.score < c.score ||
		b.score == c.score && b.prediction.PredictionIndex >= c.prediction.PredictionIndex {
		return false
	}
	switch {
	case b.label != nil || c.label != nil:
		return b.label == c.label
	case e.isDetector():
		iou, meet := intersectionOverUnion(b.prediction.box, c.prediction.box)
		return meet && reaches(iou, overlapThreshold)
	}
	return b.prediction.TagID == c.prediction.TagID
}

func (e *evaluation) labelSuspects(a arguments) (all [][]any) {
	outcomes := e.outcomes(0, a.overlapThreshold)
	usuals := e.usuals(outcomes, a.overlapThreshold)
	claims := e.claims(outcomes, usuals, a.overlapThreshold)
	var suspects []suspect
	for _, c := range claims {
		overshadowed := func(c suspect) bool {
			return slices.ContainsFunc(claims, func(b suspect) bool { return e.overshadows(b, c, a.overlapThreshold) })
		}
		// It is left out for one that is listed itself.
		if c.score > 0 && !slices.ContainsFunc(claims, func(b suspect) bool { return e.overshadows(b, c, a.overlapThreshold) && !overshadowed(b) }) {
			suspects = append(suspects, c)
		}
	}
	sureOf := map[*label]float64{}
	for _, o := range outcomes {
		if o.kind == falsePositive {
			continue
		}
		p, u := o.labelProbability(), usuals[o.label.tagID]
		sureOf[o.label] = p
		if e.isDetector() || e.method() != "Multilabel" || !e.speaks(u) || p > u.elsewhere {
			continue
		}
		if score := rounded(against(p, u.elsewhere) * (u.agreed / (u.agreed + u.denied))); score > 0 {
			suspects = append(suspects, suspect{"superfluous", score, o.prediction, o.label, nil})
		}
	}
	for _, s := range suspects {
		row := make([]any, 17)
		row[0], row[2], row[3], row[15] = int64(0), s.kind, s.score, value(s.iou)
		if s.prediction != nil {
			row[1], row[12] = s.prediction.ImageID, s.prediction.PredictionIndex
			if s.kind != "superfluous" {
				row[4], row[5] = s.prediction.TagID, value(e.tagName(s.prediction.TagID))
				row[6], row[7] = s.prediction.Probability, usuals[s.prediction.TagID].labelled
			}
		}
		if s.label != nil {
			row[1], row[8], row[9] = s.label.imageID, s.label.tagID, value(e.tagName(s.label.tagID))
			row[10], row[11], row[13], row[14] = sureOf[s.label], usuals[s.label.tagID].elsewhere, s.label.index, value(s.label.regionID)
		}
		row[16] = e.imageURI(row[1].(string))
		all = append(all, row)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		switch {
		case a[3] != b[3]:
			return a[3].(float64) > b[3].(float64)
		case a[1] != b[1]:
			return a[1].(string) < b[1].(string)
		case a[2] != b[2]:
			return a[2].(string) < b[2].(string)
		case a[13] != nil && a[13] != b[13]: // within a kind, all or none have a label
			return a[13].(int32) < b[13].(int32)
		}
		return a[12] != nil && b[12] != nil && a[12].(int32) < b[12].(int32)
	})
	for i := range all {
		all[i][0] = int64(i + 1)
	}
	return all
}

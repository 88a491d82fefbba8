package viewtest

import (
	"math"
	"sort"
)

func (e *evaluation) precisionRecallCurve(a arguments) (all [][]any) {
	for _, id := range e.tagIDs() {
		points, labels := e.curve(id, a.overlapThreshold)
		for _, p := range points {
			all = append(all, []any{id, value(e.tagName(id)), p.probability, p.truePositives, p.falsePositives, labels, p.precision, p.recall, p.interpolatedPrecision, e.limited()})
		}
	}
	return all
}

func (e *evaluation) averagePrecision(a arguments) (all [][]any) {
	same := !e.isFiltered() && (!e.isDetector() || a.overlapThreshold == e.OverlapThreshold)
	row := func(scope string, tagID, name any, labels int64, ours, service *float64) {
		values := []any{scope, tagID, name, labels, value(ours), value(service), nil, e.limited()}
		if same {
			values[6] = minus(ours, service)
		}
		all = append(all, values)
	}
	var total, labelled int64
	var sum float64
	for _, id := range e.tagIDs() {
		points, labels := e.curve(id, a.overlapThreshold)
		if labels == 0 && e.figuresOf(id).TagID == "" {
			continue // not one of the iteration's tags, and without a label
		}
		var area *float64
		if labels > 0 {
			area = new(float64)
			before := 0.0
			for _, p := range points {
				*area += (p.recall - before) * p.interpolatedPrecision
				before = p.recall
			}
			sum += *area
			labelled++
		}
		total += labels
		row("tag", id, value(e.tagName(id)), labels, area, e.figuresOf(id).AveragePrecision)
	}
	if len(all) == 0 {
		return nil
	}
	var mean *float64
	if labelled > 0 {
		m := sum / float64(labelled)
		mean = &m
	}
	row("macro", nil, nil, total, mean, e.AveragePrecision)
	return all
}

func (e *evaluation) bestThreshold(a arguments) (all [][]any) {
	for _, id := range e.tagIDs() {
		points, labels := e.curve(id, a.overlapThreshold)
		best := -1
		for i, p := range points { // the highest threshold first
			// F1 is 2 tp / (predictions + labels); the fractions are compared as whole numbers.
			if best < 0 || p.truePositives*(points[best].truePositives+points[best].falsePositives+labels) >
				points[best].truePositives*(p.truePositives+p.falsePositives+labels) {
				best = i
			}
		}
		if best >= 0 {
			p := points[best]
			f1 := 2 * float64(p.truePositives) / float64(p.truePositives+p.falsePositives+labels)
			all = append(all, []any{id, value(e.tagName(id)), p.probability, p.truePositives, p.falsePositives, labels, p.precision, p.recall, f1, e.limited()})
		}
	}
	return all
}

// iterationChanges compares two iterations on the images and tags of both.
func (w *warehouse) iterationChanges(a arguments) (all [][]any) {
	before, after := w.pair(a)
	if before == nil {
		return nil
	}
	type side struct {
		tally
		probability *float64
		name        *string
	}
	look := func(outcomes []outcome, imageID, tagID string) (s side) {
		for _, o := range outcomes {
			if id, _ := o.tag(); id != tagID || o.imageID() != imageID {
				continue
			}
			s.add(o.kind)
			_, name := o.tag()
			s.name = later(s.name, name)
			if o.prediction != nil && (s.probability == nil || o.prediction.Probability > *s.probability) {
				s.probability = &o.prediction.Probability
			}
		}
		return s
	}
	was := before.outcomes(a.probabilityThreshold, a.overlapThreshold)
	is := after.outcomes(a.probabilityThreshold, a.overlapThreshold)
	tagIDs := before.tagIDs()
	for _, id := range after.tagIDs() {
		if !contains(tagIDs, id) {
			tagIDs = append(tagIDs, id)
		}
	}
	for _, image := range before.images {
		if !after.hasImage(image.ImageID) {
			continue
		}
		for _, id := range tagIDs {
			b, n := look(was, image.ImageID, id), look(is, image.ImageID, id)
			if b.labels+b.falsePositives+n.labels+n.falsePositives == 0 {
				continue
			}
			change := map[[2]bool]string{ // by whether it was wrong, and is
				{true, false}: "fixed", {false, true}: "broken", {false, false}: "still_right", {true, true}: "still_wrong",
			}[[2]bool{b.falsePositives+b.falseNegatives > 0, n.falsePositives+n.falseNegatives > 0}]
			name := after.figuresOf(id).TagName
			if name == nil {
				name = before.figuresOf(id).TagName
			}
			if name == nil {
				name = later(b.name, n.name)
			}
			all = append(all, []any{before.ProjectID, before.IterationID, after.IterationID, image.ImageID, id, value(name), change,
				b.truePositives, b.falsePositives, b.falseNegatives, value(b.probability),
				n.truePositives, n.falsePositives, n.falseNegatives, value(n.probability)})
		}
	}
	return all
}

// later is the name that is later in the alphabet.
func later(a, b *string) *string {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

func contains(list []string, s string) bool {
	for _, other := range list {
		if other == s {
			return true
		}
	}
	return false
}

func (e *evaluation) hasImage(id string) bool {
	for _, image := range e.images {
		if image.ImageID == id {
			return true
		}
	}
	return false
}

func (e *evaluation) imageURI(id string) any {
	for _, image := range e.images {
		if image.ImageID == id {
			return value(image.ImageURI)
		}
	}
	return nil
}

func (e *evaluation) hardestImages(a arguments) (all [][]any) {
	outcomes := e.outcomes(a.probabilityThreshold, a.overlapThreshold)
	unlimited := e.outcomes(math.Inf(-1), a.overlapThreshold)
	for _, image := range e.images {
		var c tally
		var hardness int64 // each to 12 decimal places
		for _, o := range outcomes {
			if o.imageID() != image.ImageID {
				continue
			}
			c.add(o.kind)
			switch o.kind {
			case falsePositive:
				hardness += int64(math.Round(1e12 * o.prediction.Probability))
			case falseNegative:
				wouldFind := 0.0
				for _, u := range unlimited {
					if u.kind == truePositive && u.label.imageID == o.label.imageID && u.label.index == o.label.index {
						wouldFind = u.prediction.Probability
					}
				}
				hardness += int64(math.Round(1e12 * (1 - wouldFind)))
			}
		}
		if c.falsePositives+c.falseNegatives > 0 {
			all = append(all, []any{int64(0), image.ImageID, float64(hardness) / 1e12, c.truePositives, c.falsePositives, c.falseNegatives, value(image.ImageURI)})
		}
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i][2] != all[j][2] {
			return all[i][2].(float64) > all[j][2].(float64)
		}
		return all[i][1].(string) < all[j][1].(string)
	})
	for i := range all {
		all[i][0] = int64(i + 1)
	}
	return all
}

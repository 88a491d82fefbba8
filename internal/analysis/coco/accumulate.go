package coco

import (
	"cmp"
	"math"
	"slices"
)

// epsilon is numpy's spacing(1), which pycocotools adds so as not to divide by 0.
const epsilon = 0x1p-52

// Figures returns the figures of what was added. Call it once, at the end.
func (t *Tag) Figures() Figures {
	slices.SortStableFunc(t.detections, func(a, b judged) int { return cmp.Compare(b.score, a.score) })
	var f Figures
	precision := make([]float64, 0, len(t.detections)) // reused
	for n, d := range Definitions {
		f.Labels[n] = t.labels[d.area]
		if f.Labels[n] == 0 {
			f.Values[n] = math.NaN()
			continue
		}
		sum, count := 0.0, 0
		for step := range thresholds {
			switch {
			case d.threshold >= 0 && step != d.threshold:
				continue
			case d.recall:
				sum += t.recall(d, step)
			default:
				sum += t.averagePrecision(d, step, precision)
			}
			count++
		}
		f.Values[n] = sum / float64(count)
	}
	return f
}

// counted calls use for each detection that is right or wrong, or ignored (neither).
func (t *Tag) counted(d Definition, step int, use func(right, wrong bool)) {
	bit := uint16(1) << step
	for i := range t.detections {
		j := &t.detections[i]
		if int(j.rank) >= d.Detections {
			continue
		}
		matched, ignored := j.matched[d.area]&bit != 0, j.ignored[d.area]&bit != 0
		use(matched && !ignored, !matched && !ignored)
	}
}

// recall is the share of the labels that have a detection.
func (t *Tag) recall(d Definition, step int) float64 {
	found := 0
	t.counted(d, step, func(right, _ bool) {
		if right {
			found++
		}
	})
	return float64(found) / float64(t.labels[d.area])
}

// averagePrecision is the mean of the precision at each recall point: of the highest
// that is reached at that recall or a higher one, and 0 at recalls that are not reached.
func (t *Tag) averagePrecision(d Definition, step int, precision []float64) float64 {
	right, wrong := 0, 0
	labels := float64(t.labels[d.area])
	var reached [recalls]int // where in precision each recall point is reached first
	points := 0
	t.counted(d, step, func(isRight, isWrong bool) {
		if isRight {
			right++
		}
		if isWrong {
			wrong++
		}
		precision = append(precision, float64(right)/(float64(wrong+right)+epsilon))
		for points < recalls && float64(right)/labels >= recallPoints[points] {
			reached[points] = len(precision) - 1
			points++
		}
	})
	for i := len(precision) - 1; i > 0; i-- {
		precision[i-1] = max(precision[i-1], precision[i])
	}
	sum := 0.0
	for _, at := range reached[:points] {
		sum += precision[at]
	}
	return sum / recalls
}

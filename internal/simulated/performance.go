package simulated

import (
	"cmp"
	"slices"
)

// figures are a tag's or an iteration's precision, recall and average precision.
type figures struct {
	truePositives, falsePositives, labels int
	averagePrecision                      float64
}

func (f figures) precision() float64 { return ratio(f.truePositives, f.truePositives+f.falsePositives) }
func (f figures) recall() float64    { return ratio(f.truePositives, f.labels) }

// count counts a prediction.
func (f *figures) count(right bool) {
	if right {
		f.truePositives++
	} else {
		f.falsePositives++
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// verdict is one prediction of a tag, and whether it was right.
type verdict struct {
	probability float64
	right       bool
}

// measure evaluates an iteration. Predictions below the threshold do not count. A
// classifier is right if the image has the tag. Detectors are evaluated like in PASCAL
// VOC 2012: each box, most probable first, is compared with the region of its tag that
// it overlaps most, and is right if the overlap suffices and the region was not matched
// before. Boxes that only touch do not overlap. Average precision uses all points of
// the curve, of all predictions. Its mean is over the tags that have labels.
func (s *Service) measure(p, k int, threshold, overlap float64) (perTag []figures, overall figures) {
	tags := s.Projects()[p].Tags
	perTag = make([]figures, len(tags))
	verdicts := make([][]verdict, len(tags))
	place := map[Tag]int{}
	for t, tag := range tags {
		place[tag] = t
	}
	for i := range s.Projects()[p].Iterations[k].Images {
		img := s.Image(p, k, i)
		for _, region := range img.Regions {
			perTag[place[region.Tag]].labels++
		}
		for _, label := range img.Tags {
			if s.config.Kind != Detection {
				perTag[place[label.Tag]].labels++
			}
		}
		for t, v := range judge(img, place, overlap) {
			verdicts[t] = append(verdicts[t], v...)
		}
	}
	labelled := 0
	for t := range tags {
		f := &perTag[t]
		for _, v := range verdicts[t] {
			if v.probability >= threshold {
				f.count(v.right)
			}
		}
		f.averagePrecision = averagePrecision(verdicts[t], f.labels)
		overall.truePositives += f.truePositives
		overall.falsePositives += f.falsePositives
		overall.labels += f.labels
		overall.averagePrecision += f.averagePrecision
		if f.labels > 0 {
			labelled++
		}
	}
	overall.averagePrecision /= float64(max(1, labelled))
	return perTag, overall
}

// judge returns the verdicts of one image by tag.
func judge(img Image, place map[Tag]int, overlap float64) map[int][]verdict {
	predictions := slices.Clone(img.Predictions)
	byProbability(predictions)
	taken := make([]bool, len(img.Regions))
	out := map[int][]verdict{}
	for _, prediction := range predictions {
		right := slices.ContainsFunc(img.Tags, func(l Label) bool { return l.Tag == prediction.Tag })
		if prediction.Box != nil {
			best, maxOverlap := -1, 0.0
			for j, region := range img.Regions {
				if region.Tag == prediction.Tag {
					if v := intersectionOverUnion(*prediction.Box, region.Box); v > maxOverlap {
						best, maxOverlap = j, v
					}
				}
			}
			right = best >= 0 && maxOverlap >= overlap-1e-9 && !taken[best]
			if right {
				taken[best] = true
			}
		}
		t := place[prediction.Tag]
		out[t] = append(out[t], verdict{Float(prediction.Probability), right})
	}
	return out
}

func intersectionOverUnion(a, b Box) float64 {
	side := func(i int) float64 {
		from := max(Float(a[i]), Float(b[i]))
		to := min(Float(a[i])+Float(a[i+2]), Float(b[i])+Float(b[i+2]))
		return max(0, to-from)
	}
	both := side(0) * side(1)
	if both == 0 {
		return 0
	}
	return both / (Float(a[2])*Float(a[3]) + Float(b[2])*Float(b[3]) - both)
}

// averagePrecision returns the area under the curve of precision over recall, where
// precision is the best one at that recall or above (VOC 2012). Predictions of equal
// probability are one point.
func averagePrecision(verdicts []verdict, labels int) float64 {
	if labels == 0 {
		return 0
	}
	slices.SortStableFunc(verdicts, func(a, b verdict) int { return cmp.Compare(b.probability, a.probability) })
	curve := []figures{{}} // a point for each probability, by falling probability
	point := figures{labels: labels}
	for i, v := range verdicts {
		point.count(v.right)
		if i+1 == len(verdicts) || verdicts[i+1].probability != v.probability {
			curve = append(curve, point)
		}
	}
	area, best := 0.0, 0.0
	for i := len(curve) - 1; i > 0; i-- {
		best = max(best, curve[i].precision())
		area += best * (curve[i].recall() - curve[i-1].recall())
	}
	return area
}

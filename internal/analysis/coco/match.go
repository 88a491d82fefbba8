package coco

import (
	"cmp"
	"slices"
)

// Tag collects what one tag's figures need: 32 bytes for each detection, of at most a
// hundred an image, and nothing for a label. The zero value is ready.
type Tag struct {
	detections []judged
	labels     [areaKinds]int

	// Of one image, kept for the next.
	sorted   []Detection
	overlaps []float64 // by detection and label
	order    []int     // of the labels
	taken    []bool    // labels
}

// judged is a detection that was compared with the labels of its image.
type judged struct {
	score float64
	rank  uint8 // among the detections of its image, from 0
	// By area, a bit for each threshold. A detection that has a label of another size,
	// or none and another size itself, is ignored: it is neither right nor wrong.
	matched, ignored [areaKinds]uint16
}

// Add judges the detections of one image. Of detections that are equally sure, those of
// images that were added before come first, and in an image the order given counts.
//
// The rules, for each range of areas and each threshold: the surest hundred detections
// choose in turn. Each takes the label that it overlaps most of those not taken yet, if
// the overlap reaches the threshold; of labels that it overlaps as much, the last. A
// label within the range goes before one of another size.
func (t *Tag) Add(labels []Box, detections []Detection) {
	t.sorted = append(t.sorted[:0], detections...)
	slices.SortStableFunc(t.sorted, func(a, b Detection) int { return cmp.Compare(b.Score, a.Score) })
	if len(t.sorted) > most {
		t.sorted = t.sorted[:most]
	}
	t.overlaps = t.overlaps[:0]
	first := len(t.detections)
	for rank, d := range t.sorted {
		t.detections = append(t.detections, judged{score: d.Score, rank: uint8(rank)})
		for _, label := range labels {
			t.overlaps = append(t.overlaps, overlap(d.Box, label))
		}
	}
	for area := range areas {
		within := t.within(area, labels)
		t.labels[area] += within
		for step := range thresholds {
			t.match(t.detections[first:], area, step, within)
		}
	}
}

// within puts the labels in the order in which they are compared, those within the
// range of areas first, and returns how many these are.
func (t *Tag) within(area int, labels []Box) int {
	t.order = t.order[:0]
	count := 0
	for _, want := range []bool{true, false} {
		for n, label := range labels {
			if inside(area, label) == want {
				t.order = append(t.order, n)
			}
		}
		if want {
			count = len(t.order)
		}
	}
	return count
}

func inside(area int, b Box) bool {
	size := b.area()
	return !(size < areas[area][0] || size > areas[area][1])
}

// match lets the detections of an image choose their labels.
func (t *Tag) match(detections []judged, area, step, within int) {
	t.taken = append(t.taken[:0], make([]bool, len(t.order))...)
	bit := uint16(1) << step
	for d := range detections {
		best, chosen := thresholds[step], -1
		for place, label := range t.order {
			if t.taken[place] {
				continue
			}
			if chosen >= 0 && chosen < within && place >= within {
				break
			}
			// Written so that what is not a number does what it does in pycocotools.
			if o := t.overlaps[d*len(t.order)+label]; !(o < best) {
				best, chosen = o, place
			}
		}
		judged := &detections[d]
		if chosen >= 0 {
			t.taken[chosen] = true
			judged.matched[area] |= bit
		}
		if chosen >= within || chosen < 0 && !inside(area, t.sorted[d].Box) {
			judged.ignored[area] |= bit
		}
	}
}

package coco_test

import (
	"math"
	"slices"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/coco"
)

// image is what is on one image of a tag.
type image struct {
	labels     []coco.Box
	detections []coco.Detection
}

func sure(score, left, top, width, height float64) coco.Detection {
	return coco.Detection{Box: coco.Box{left, top, width, height}, Score: score}
}

// The figures that pencil and paper give, where COCO's rules are not those of PASCAL VOC,
// which the views follow, and at their edges. Of the 101 recall points, 51 are at most
// 1/2, 34 at most 1/3 and 68 at most 2/3. A figure that is not listed does not matter.
func TestHandWorked(t *testing.T) {
	const none = -1
	large := coco.Box{200, 200, 100, 100}
	for _, tc := range []struct {
		name   string
		images []image
		want   map[string]float64
	}{
		{
			// The second detection overlaps both labels by 1200 of 2000 square pixels, 0.6.
			// VOC compares it with the first alone, which is taken: wrong. COCO gives it the
			// second, at the thresholds 0.5, 0.55 and 0.6.
			name: "a detection whose best label is taken takes the next best",
			images: []image{{
				labels:     []coco.Box{{0, 0, 40, 40}, {20, 0, 40, 40}},
				detections: []coco.Detection{sure(0.9, 0, 0, 40, 40), sure(0.8, 10, 0, 40, 40)},
			}},
			want: map[string]float64{"AP50": 1, "AP75": 51. / 101, "AP": (3 + 7*51./101) / 10, "AR100": (3 + 7*0.5) / 10, "AR1": 0.5},
		},
		{
			// The surest overlaps the first label by 0.6 and the second not at all, and takes
			// it up to there; the other fits it exactly, and is right from 0.65 on. At the
			// lower thresholds precision is 1 to recall 1/2; from 0.65 on it is 1/2.
			name: "a surer detection takes the label of one that fits better, where it reaches the overlap",
			images: []image{{
				labels:     []coco.Box{{0, 0, 40, 40}, {300, 0, 40, 40}},
				detections: []coco.Detection{sure(0.9, 10, 0, 40, 40), sure(0.8, 0, 0, 40, 40)},
			}},
			want: map[string]float64{"AP50": 51. / 101, "AP75": 51. / 202, "AP": (3*51./101 + 7*51./202) / 10, "AR100": 0.5, "AR1": 3 * 0.5 / 10},
		},
		{
			// Both labels overlap as much: the last is taken, and the second detection, which
			// fits the first, is right too.
			name: "of labels that overlap as much the last is taken",
			images: []image{{
				labels:     []coco.Box{{0, 0, 40, 40}, {20, 0, 40, 40}},
				detections: []coco.Detection{sure(0.9, 10, 0, 40, 40), sure(0.8, 0, 0, 40, 40)},
			}},
			want: map[string]float64{"AP50": 1, "AR1": 0.5 * 0.3},
		},
		{
			// A label of 50 by 50 is medium. The detection that finds it is neither right nor
			// wrong among the small ones, nor is the last one, which is medium itself; the
			// second, small one that finds nothing is wrong there and everywhere but among the
			// medium ones.
			name: "labels and detections of another size are ignored",
			images: []image{{
				labels:     []coco.Box{{0, 0, 50, 50}, {100, 0, 20, 20}},
				detections: []coco.Detection{sure(0.9, 0, 0, 50, 50), sure(0.8, 300, 0, 20, 20), sure(0.7, 100, 0, 20, 20), sure(0.6, 500, 500, 60, 60)},
			}},
			want: map[string]float64{"AP": (51 + 50*2./3) / 101, "APsmall": 0.5, "APmedium": 1, "APlarge": none, "ARsmall": 1, "ARmedium": 1, "ARlarge": none},
		},
		{
			// Both fit by 0.5 and more, and the medium label better: among the small ones the
			// small label goes first.
			name: "a label of the size goes before a better one of another",
			images: []image{{
				labels:     []coco.Box{{0, 0, 40, 40}, {0, 0, 30, 30}},
				detections: []coco.Detection{sure(0.9, 0, 0, 38, 40)},
			}},
			want: map[string]float64{"AR100": 0.5 * 10 / 10, "ARsmall": 0.2, "ARmedium": 1},
		},
		{
			name: "a size at the border has both sizes",
			images: []image{{
				labels:     []coco.Box{{0, 0, 32, 32}, {200, 200, 96, 96}},
				detections: []coco.Detection{sure(0.9, 0, 0, 32, 32)},
			}},
			want: map[string]float64{"ARsmall": 1, "ARmedium": 0.5, "ARlarge": 0},
		},
		{
			name: "the hundredth detection of an image counts, the next does not",
			images: []image{
				{[]coco.Box{large}, append(slices.Repeat([]coco.Detection{sure(0.9, 0, 0, 100, 100)}, 99), sure(0.9, 200, 200, 100, 100))},
				{[]coco.Box{large}, append(slices.Repeat([]coco.Detection{sure(0.9, 0, 0, 100, 100)}, 100), sure(0.9, 200, 200, 100, 100))},
			},
			want: map[string]float64{"AR100": 0.5, "AR10": 0, "AR1": 0, "AP": 51. / 101 / 100},
		},
		{
			// Equally sure: the first image's, which is wrong, comes first.
			name: "of detections as sure those of the first image come first",
			images: []image{
				{nil, []coco.Detection{sure(0.5, 0, 0, 100, 100)}},
				{[]coco.Box{large}, []coco.Detection{{large, 0.5}}},
			},
			want: map[string]float64{"AP": 0.5},
		},
		{
			// Found at 0.9, with 1 right of 1; at 0.7, 2 of 3. Recall 1/3 and 2/3.
			name: "precision is read at 101 recalls",
			images: []image{{
				labels:     []coco.Box{large, {0, 0, 100, 100}, {400, 0, 100, 100}},
				detections: []coco.Detection{{large, 0.9}, sure(0.8, 700, 0, 100, 100), sure(0.7, 0, 0, 100, 100)},
			}},
			want: map[string]float64{"AP50": (34 + 33*2./3) / 101, "AP": (34 + 33*2./3) / 101},
		},
		{
			name:   "a box without area finds nothing and is not found",
			images: []image{{[]coco.Box{{10, 10, 0, 20}}, []coco.Detection{sure(0.9, 10, 10, 0, 20)}}},
			want:   map[string]float64{"AP": 0, "AR100": 0, "ARsmall": 0},
		},
		{
			name:   "nothing is predicted",
			images: []image{{labels: []coco.Box{large}}},
			want:   map[string]float64{"AP": 0, "AR1": 0, "APsmall": none},
		},
		{
			name:   "nothing is labelled",
			images: []image{{detections: []coco.Detection{{large, 0.9}}}},
			want:   map[string]float64{"AP": none, "AR1": none},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var tag coco.Tag
			for _, i := range tc.images {
				tag.Add(i.labels, i.detections)
			}
			f, checked := tag.Figures(), 0
			for n, d := range coco.Definitions {
				want, ok := tc.want[d.Name]
				if !ok {
					continue
				}
				checked++
				if got := f.Values[n]; math.IsNaN(got) != (want == none) || math.Abs(got-want) > 1e-12 {
					t.Errorf("%s is %v, want %v", d.Name, got, want)
				}
			}
			if checked != len(tc.want) {
				t.Errorf("%d of %d figures checked", checked, len(tc.want))
			}
		})
	}
}

// A detector's figures are the mean of its tags', each by those that have it.
func TestMean(t *testing.T) {
	small, large := coco.Box{0, 0, 20, 20}, coco.Box{0, 0, 100, 100}
	var found, missed, unlabelled coco.Tag
	found.Add([]coco.Box{large}, []coco.Detection{{large, 0.9}})
	missed.Add([]coco.Box{small, small, large}, nil)
	unlabelled.Add(nil, []coco.Detection{{large, 0.9}})
	mean := coco.Mean([]coco.Figures{found.Figures(), missed.Figures(), unlabelled.Figures()})
	for n, d := range coco.Definitions {
		want, labels := 0.5, 4
		switch d.Area {
		case "small":
			want, labels = 0, 2
		case "medium":
			want, labels = math.NaN(), 0
		case "large":
			labels = 2
		}
		if got := mean.Values[n]; !(math.Abs(got-want) < 1e-12) && !(math.IsNaN(got) && math.IsNaN(want)) || mean.Labels[n] != labels {
			t.Errorf("%s is %v of %d labels, want %v of %d", d.Name, got, mean.Labels[n], want, labels)
		}
	}
}

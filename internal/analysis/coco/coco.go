// Package coco computes the twelve numbers that detectors are compared by: those that
// COCO's own program, pycocotools, prints for boxes. It takes the same steps in the
// same order, with the same rounding, so that its results are those of pycocotools.
// (COCOeval of pycocotools 2.0.11, for iouType bbox and its default parameters. No
// label is a crowd, "iscrowd", which Custom Vision does not have.)
//
// Everything is judged tag by tag, and within a tag image by image: see [Tag.Add].
package coco

import "math"

// Box is a box in pixels: left, top, width, height. See [Pixels].
type Box [4]float64

// Pixels returns a box that is given in fractions of an image, in pixels of the image.
// Coordinates are continuous and are not rounded: the left edge of the image is 0, the
// right edge is its width, and a box that is as wide as ten pixels has width 10.
func Pixels(fractions [4]float64, imageWidth, imageHeight int64) Box {
	w, h := float64(imageWidth), float64(imageHeight)
	return Box{float64(fractions[0] * w), float64(fractions[1] * h), float64(fractions[2] * w), float64(fractions[3] * h)}
}

// area is rounded before it is used: a processor that fuses the multiplication with
// what follows would round differently. So are all products here.
func (b Box) area() float64 { return float64(b[2] * b[3]) }

// overlap is the intersection of two boxes divided by their union (IoU); 0 if they do
// not meet.
func overlap(d, g Box) float64 {
	w := min(d[2]+d[0], g[2]+g[0]) - max(d[0], g[0])
	if w <= 0 {
		return 0
	}
	h := min(d[3]+d[1], g[3]+g[1]) - max(d[1], g[1])
	if h <= 0 {
		return 0
	}
	both := float64(w * h)
	return both / (d.area() + g.area() - both)
}

// Detection is a predicted box.
type Detection struct {
	Box   Box
	Score float64 // how sure the model was
}

// Definition says what one of the twelve numbers is.
type Definition struct {
	Name       string // AP, AP50, APsmall, AR10 and so on
	Overlap    string // the IoU that a detection must reach; a range stands for the mean of its ten
	Area       string // the labels that are counted, by their size: all, small, medium or large
	Detections int    // how many detections of a tag count in an image, the surest ones

	recall    bool // of the average recall; else of the average precision
	area      int  // in areas
	threshold int  // in thresholds; -1: all
}

const (
	steps     = 10  // of thresholds
	most      = 100 // detections of a tag in an image
	recalls   = 101 // recalls at which precision is read: 0, 0.01 and so on to 1
	areaKinds = 4
)

// Definitions are the twelve numbers, in the order in which pycocotools prints them.
var Definitions = [12]Definition{
	{"AP", "0.50:0.95", "all", most, false, 0, -1},
	{"AP50", "0.50", "all", most, false, 0, 0},
	{"AP75", "0.75", "all", most, false, 0, 5},
	{"APsmall", "0.50:0.95", "small", most, false, 1, -1},
	{"APmedium", "0.50:0.95", "medium", most, false, 2, -1},
	{"APlarge", "0.50:0.95", "large", most, false, 3, -1},
	{"AR1", "0.50:0.95", "all", 1, true, 0, -1},
	{"AR10", "0.50:0.95", "all", 10, true, 0, -1},
	{"AR100", "0.50:0.95", "all", most, true, 0, -1},
	{"ARsmall", "0.50:0.95", "small", most, true, 1, -1},
	{"ARmedium", "0.50:0.95", "medium", most, true, 2, -1},
	{"ARlarge", "0.50:0.95", "large", most, true, 3, -1},
}

// areas are the sizes of Definition.Area in square pixels. Both ends belong to a range,
// so a label of 32 by 32 pixels is both small and medium.
var areas = [areaKinds][2]float64{{0, 1e5 * 1e5}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e5 * 1e5}}

// thresholds and recallPoints are numpy's linspace, rounded as it rounds: the ninth
// threshold is a little below 0.9.
var (
	thresholds   = [steps]float64(linspace(0.5, 0.95, steps))
	recallPoints = [recalls]float64(linspace(0, 1, recalls))
)

func linspace(from, to float64, n int) []float64 {
	points, step := make([]float64, n), (to-from)/float64(n-1)
	for i := range points {
		points[i] = float64(float64(i)*step) + from
	}
	return points
}

// Figures are the twelve numbers of a tag or of a detector, in the order of
// [Definitions].
type Figures struct {
	// Values are between 0 and 1, and NaN where there is no label of that size (-1 in
	// pycocotools).
	Values [len(Definitions)]float64
	// Labels says how many labels of that size each number rests on.
	Labels [len(Definitions)]int
}

// Mean returns the figures of a detector: for each, the mean of the tags that have it.
// So every tag counts the same, and a tag without labels does not count.
func Mean(tags []Figures) Figures {
	var mean Figures
	for n := range Definitions {
		sum, count := 0.0, 0
		for _, tag := range tags {
			mean.Labels[n] += tag.Labels[n]
			if !math.IsNaN(tag.Values[n]) {
				sum += tag.Values[n]
				count++
			}
		}
		mean.Values[n] = sum / float64(count) // 0/0 is NaN
	}
	return mean
}

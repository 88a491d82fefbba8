package verdict

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
)

// The simulation makes up images, their labels, and what two models predict on each. The
// predictions are judged one by one, as outcomes and iteration_changes do it; a test
// compares it with these. The two models are equally hard put to it by an image, and
// by a label or tag of it; the rest is each model's own.

// threshold and overlap are those that predictions are judged at.
const threshold, overlap = 0.5, 0.3

// world is a kind of project. Its numbers are standard deviations, in logits.
type world struct {
	name      string
	tags      int
	labels    int     // at most, an image has one or more
	hard      float64 // of an image, for both models
	burst     float64 // of an image, for one model: its errors come together
	shared    float64 // of a case, for both models
	own       float64 // of a case, for one model
	skill     float64 // how sure a model is of what is right, in the mean
	exclusive bool    // one tag an image
	boxes     bool
}

var worlds = []world{
	{name: "detector, up to 8 boxes an image", tags: 5, labels: 8, hard: 0.8, burst: 0.5, shared: 0.8, own: 0.8, skill: 1.8, boxes: true},
	{name: "multi-label, 8 tags", tags: 8, labels: 3, hard: 0.6, burst: 0.4, shared: 0.8, own: 1, skill: 2.4},
	{name: "multi-class, 8 tags", tags: 8, labels: 1, hard: 1, burst: 0.5, shared: 1, own: 1, skill: 3.5, exclusive: true},
	{name: "multi-label, 20 tags, errors in bursts", tags: 20, labels: 5, hard: 1, burst: 1, shared: 0.5, own: 0.7, skill: 3.2},
}

type box struct{ left, top, width, height float64 }

type label struct {
	tag int
	box box
}

type prediction struct {
	tag         int
	probability float64
	box         box
}

// picture is an image with its labels and the predictions of both models.
type picture struct {
	labels      []label
	predictions [2][]prediction
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// picture makes up an image. gain is how much better than the first model the second is.
func (w world) picture(r *rand.Rand, gain float64) (p picture) {
	hard := w.skill + w.hard*r.NormFloat64()
	skill := [2]float64{hard + w.burst*r.NormFloat64(), hard + gain + w.burst*r.NormFloat64()}
	for range 1 + r.IntN(w.labels) {
		p.labels = append(p.labels, label{r.IntN(w.tags), box{r.Float64() * 0.7, r.Float64() * 0.7, 0.1 + 0.2*r.Float64(), 0.1 + 0.2*r.Float64()}})
	}
	switch {
	case w.boxes:
		w.find(r, &p, skill)
	case w.exclusive:
		w.choose(r, &p, skill)
	default:
		w.decide(r, &p, skill)
	}
	return p
}

// decide is a multi-label classifier: each tag by itself.
func (w world) decide(r *rand.Rand, p *picture, skill [2]float64) {
	for tag := range w.tags {
		common := w.shared * r.NormFloat64()
		for m := range p.predictions {
			sure := skill[m] + common + w.own*r.NormFloat64()
			if !slices.ContainsFunc(p.labels, func(l label) bool { return l.tag == tag }) {
				sure = -sure
			}
			p.predictions[m] = append(p.predictions[m], prediction{tag: tag, probability: logistic(sure)})
		}
	}
}

// choose is a multi-class classifier: the probabilities of the tags add up to 1.
func (w world) choose(r *rand.Rand, p *picture, skill [2]float64) {
	var sum [2]float64
	for tag := range w.tags {
		common := w.shared * r.NormFloat64()
		for m := range p.predictions {
			logit := common + w.own*r.NormFloat64()
			if tag == p.labels[0].tag {
				logit += skill[m]
			}
			sum[m] += math.Exp(logit)
			p.predictions[m] = append(p.predictions[m], prediction{tag: tag, probability: math.Exp(logit)})
		}
	}
	for m := range p.predictions {
		for n := range p.predictions[m] {
			p.predictions[m][n].probability /= sum[m]
		}
	}
}

// find is a detector: a box near each region, one in eight of them twice, now and then
// of another tag, and boxes where nothing is.
func (w world) find(r *rand.Rand, p *picture, skill [2]float64) {
	near := func(b box) box {
		return box{b.left + 0.2*b.width*r.NormFloat64(), b.top + 0.2*b.height*r.NormFloat64(), b.width, b.height}
	}
	for _, l := range p.labels {
		common := w.shared * r.NormFloat64()
		for m := range p.predictions {
			sure := skill[m] + common + w.own*r.NormFloat64()
			tag := l.tag
			if r.Float64() > logistic(sure+1) {
				tag = r.IntN(w.tags)
			}
			p.predictions[m] = append(p.predictions[m], prediction{tag, logistic(sure), near(l.box)})
			if r.IntN(8) == 0 {
				p.predictions[m] = append(p.predictions[m], prediction{tag, logistic(1.5 - sure), near(l.box)})
			}
		}
	}
	for range r.IntN(4) {
		at, common := box{r.Float64() * 0.7, r.Float64() * 0.7, 0.2, 0.2}, w.shared*r.NormFloat64()
		for m := range p.predictions {
			p.predictions[m] = append(p.predictions[m], prediction{r.IntN(w.tags), logistic(-skill[m] + common + w.own*r.NormFloat64()), near(at)})
		}
	}
}

// counts are true positives, false positives and false negatives.
type counts [3]int

func (c counts) wrong() bool { return c[1]+c[2] > 0 }

func (c counts) f1() float64 { return 2 * float64(c[0]) / float64(2*c[0]+c[1]+c[2]) }

// judge counts a model's outcomes on an image by tag.
func (w world) judge(p picture, model int) []counts {
	by := make([]counts, w.tags)
	if !w.boxes {
		for _, x := range p.predictions[model] {
			is := slices.ContainsFunc(p.labels, func(l label) bool { return l.tag == x.tag })
			switch said := x.probability >= threshold; {
			case said && is:
				by[x.tag][0]++
			case said:
				by[x.tag][1]++
			case is:
				by[x.tag][2]++
			}
		}
		return by
	}
	surest := slices.SortedStableFunc(slices.Values(p.predictions[model]), func(a, b prediction) int { return cmp.Compare(b.probability, a.probability) })
	taken := make([]bool, len(p.labels))
	for _, x := range surest {
		if x.probability < threshold {
			break
		}
		best, at := 0.0, -1
		for n, l := range p.labels {
			if share := x.box.overlap(l.box); l.tag == x.tag && share > best {
				best, at = share, n
			}
		}
		if at >= 0 && best >= overlap && !taken[at] {
			taken[at] = true
			by[x.tag][0]++
		} else {
			by[x.tag][1]++
		}
	}
	for n, l := range p.labels {
		if !taken[n] {
			by[l.tag][2]++
		}
	}
	return by
}

// overlap is intersection over union.
func (b box) overlap(o box) float64 {
	width := min(b.left+b.width, o.left+o.width) - max(b.left, o.left)
	height := min(b.top+b.height, o.top+o.height) - max(b.top, o.top)
	if width <= 0 || height <= 0 {
		return 0
	}
	return width * height / (b.width*b.height + o.width*o.height - width*height)
}

// outcome is an image's cases, and the counts of both models.
type outcome struct {
	Image
	counts [2]counts
}

// outcome judges both models and compares their cases.
func (w world) outcome(p picture) (o outcome) {
	before, after := w.judge(p, 0), w.judge(p, 1)
	for tag := range w.tags {
		o.add([2]counts{before[tag], after[tag]})
		switch was, is := before[tag].wrong(), after[tag].wrong(); {
		case was && !is:
			o.Fixed++
		case is && !was:
			o.Broken++
		}
	}
	return o
}

func (o *outcome) add(other [2]counts) {
	for m := range other {
		for n := range other[m] {
			o.counts[m][n] += other[m][n]
		}
	}
}

// run is one comparison of two models.
type run struct {
	Verdict
	f1            [2]float64
	better, worse int  // images
	twoDeviations bool // what the normal approximation says of cases as if they were independent
}

// compare compares two models on so many images, which draw returns.
func compare(images int, draw func() outcome) (u run) {
	var all []Image
	var sum outcome
	for range images {
		o := draw()
		all = append(all, o.Image)
		sum.add(o.counts)
		if o.Fixed > o.Broken {
			u.better++
		} else if o.Fixed < o.Broken {
			u.worse++
		}
	}
	u.f1 = [2]float64{sum.counts[0].f1(), sum.counts[1].f1()}
	u.Verdict = Judge(all, u.f1[1]-u.f1[0])
	changed := float64(u.Fixed + u.Broken)
	u.twoDeviations = changed > 0 && math.Abs(float64(u.Fixed-u.Broken)) >= 2*math.Sqrt(changed)
	return u
}

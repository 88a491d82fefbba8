package simulated

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Project is one project of the service.
type Project struct {
	ID         schema.ID
	Name       string
	Tags       []Tag
	Iterations []Iteration
}

// Tag is one tag of a project.
type Tag struct {
	ID   schema.ID
	Name string
}

// Iteration is one iteration of a project.
type Iteration struct {
	ID     schema.ID
	Name   string
	Status string // Completed, Training or Failed
	Detail string // why it failed
	Images int    // 0 unless Completed
	Made   time.Time

	Published string // its publish name; empty if it is not published

	Deleted  bool          // no longer listed
	modified time.Duration // since its training ended
}

// The states of an iteration.
const (
	Completed = "Completed"
	Training  = "Training"
	Failed    = "Failed"
)

// Image is one image as the service knows it. A reader of the service's JSON must get
// exactly these values; see [Float].
type Image struct {
	ID            schema.ID
	Created       int64 // ticks of 100 ns since 1970, UTC
	Width, Height int
	Predictions   []Prediction
	Tags          []Label
	Regions       []Region
}

// Prediction is a prediction of the model. Box is nil for a classifier.
type Prediction struct {
	Tag         Tag
	Probability float32
	Box         *Box
}

// Label is a tag on an image.
type Label struct {
	Tag     Tag
	Created int64
}

// Region is a labelled box.
type Region struct {
	ID      schema.ID
	Tag     Tag
	Created int64
	Box     Box
}

// Box is left, top, width and height, in fractions of the image.
type Box [4]float32

// Each kind of value has a random stream of its own, so that it does not depend on
// which others were generated before.
const (
	streamProject = iota + 1
	streamIteration
	streamTag
	streamImage
	streamLabel
	streamModel
	streamRegion
)

func (s *Service) random(stream uint64, parts ...int) *rand.Rand {
	hi, lo := s.config.Seed*0x9E3779B97F4A7C15+stream, stream
	for _, p := range parts {
		lo = (lo ^ uint64(p)) * 0xBF58476D1CE4E5B9
		lo ^= lo >> 29
	}
	return rand.New(rand.NewPCG(hi, lo))
}

func (s *Service) newID(r *rand.Rand) (id schema.ID) {
	for i := range 2 {
		v := r.Uint64() ^ s.salt
		for j := range 8 {
			id[8*i+j] = byte(v >> (8 * j))
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

var names = []string{"scissors", "fork", "Löffel", "спутник", "猫", "paper \"A4\"", "stone, flat", "rope"}

var epoch = time.Date(2026, 2, 11, 16, 38, 19, 950_000_000, time.UTC)

func (s *Service) build() {
	c := s.config
	var projects []Project
	for p := range c.Projects {
		project := Project{ID: s.newID(s.random(streamProject, p)), Name: fmt.Sprintf("%s %d", c.Kind, p+1)}
		for t := range c.Tags {
			name := fmt.Sprintf("tag %d", t+1)
			if t < len(names) {
				name = names[t]
			}
			project.Tags = append(project.Tags, Tag{ID: s.newID(s.random(streamTag, p, t)), Name: name})
		}
		for i, status := range slices.Concat(slices.Repeat([]string{Completed}, c.Iterations),
			slices.Repeat([]string{Failed}, c.Failed), slices.Repeat([]string{Training}, c.Training)) {
			project.Iterations = append(project.Iterations, s.newIteration(p, i, status))
		}
		projects = append(projects, project)
	}
	s.projects.Store(&projects)
}

func (s *Service) newIteration(p, k int, status string) Iteration {
	it := Iteration{ID: s.newID(s.random(streamIteration, p, k)), Name: fmt.Sprintf("Iteration %d", k+1), Status: status}
	it.Made = epoch.Add(time.Duration(p*100+k) * 25 * time.Hour)
	if status == Completed {
		it.Images = s.config.Images
	}
	return it
}

// Train adds an iteration to the project with that index in Projects, and returns the
// iteration's index.
func (s *Service) Train(project int, status string) (index int) {
	s.change(project, func(p *Project) {
		index = len(p.Iterations)
		p.Iterations = append(p.Iterations, s.newIteration(project, index, status))
	})
	return index
}

// End ends the training of an iteration. detail is the reason if it failed.
func (s *Service) End(project, iteration int, status, detail string) {
	s.change(project, func(p *Project) {
		it := &p.Iterations[iteration]
		it.Status, it.Detail = status, detail
		if status == Completed {
			it.Images = s.config.Images
		}
	})
}

// Modify changes the time when an iteration was last modified.
func (s *Service) Modify(project, iteration int) {
	s.change(project, func(p *Project) { p.Iterations[iteration].modified += time.Hour })
}

// Publish gives an iteration a publish name.
func (s *Service) Publish(project, iteration int, name string) {
	s.change(project, func(p *Project) { p.Iterations[iteration].Published = name })
}

// Rename gives a project, and its iterations as far as there are names, other names.
func (s *Service) Rename(project int, name string, iterations ...string) {
	s.change(project, func(p *Project) {
		p.Name = name
		for i, name := range iterations {
			p.Iterations[i].Name = name
		}
	})
}

// Delete removes an iteration from the listings.
func (s *Service) Delete(project, iteration int) {
	s.change(project, func(p *Project) { p.Iterations[iteration].Deleted = true })
}

// change changes a copy of the project, which takes its place.
func (s *Service) change(project int, do func(*Project)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	projects := slices.Clone(s.Projects())
	p := &projects[project]
	p.Iterations, p.Tags = slices.Clone(p.Iterations), slices.Clone(p.Tags)
	do(p)
	s.projects.Store(&projects)
}

// labels returns the tags of image i. They do not depend on the iteration.
func (s *Service) labels(p, i int) []int {
	r := s.random(streamLabel, p, i)
	tags := s.config.Tags
	if tags == 0 || r.IntN(50) == 0 {
		return nil // an untagged image
	}
	n := 1
	if s.config.Kind == Multilabel {
		n = min(1+r.IntN(3), tags)
	}
	if s.config.Kind == Detection {
		n = min(1+r.IntN(max(1, s.config.Regions)), tags, s.config.Regions)
	}
	chosen := r.Perm(tags)[:n]
	for j := range chosen {
		chosen[j] = (chosen[j] + int(s.relabelled.Load())) % tags
	}
	slices.Sort(chosen)
	return chosen
}

// Image returns the i-th oldest image of an iteration. project and iteration are indices
// in Projects.
func (s *Service) Image(project, iteration, i int) Image {
	r := s.random(streamImage, project, i)
	img := Image{
		ID: s.newID(r),
		// Three images have the same time, like a batch that was uploaded together.
		Created: (epoch.UnixNano()/100 - 40*24*3600*1e7) + int64(i/3)*71_234_567,
		Width:   320 + 16*r.IntN(100), Height: 240 + 16*r.IntN(100),
	}
	tags := s.Projects()[project].Tags
	labels := s.labels(project, i)
	for n, t := range labels {
		img.Tags = append(img.Tags, Label{Tag: tags[t], Created: img.Created + int64(n+1)*1_121_580})
	}
	model := s.random(streamModel, project, iteration, i)
	if s.config.Kind == Detection {
		s.detect(&img, project, i, labels, iteration, model)
	} else {
		s.classify(&img, tags, labels, iteration, model)
	}
	return img
}

// skill returns how good iteration k is at tag t. It grows with k, and some tags stay
// hard.
func skill(k, t int) float64 { return 2.6 + 0.35*float64(k) - 0.45*float64(t%5) }

// classify predicts every tag, most probable first.
func (s *Service) classify(img *Image, tags []Tag, labels []int, k int, r *rand.Rand) {
	logits := make([]float64, len(tags))
	for t := range tags {
		logits[t] = -skill(k, t) + 1.6*r.NormFloat64()
	}
	for _, t := range labels {
		logits[t] += 2 * skill(k, t)
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(2 * l)
	}
	for t, l := range logits {
		p := 1 / (1 + math.Exp(-2*l))
		if s.config.Kind == Multiclass {
			p = math.Exp(2*l) / sum
		}
		if r.IntN(40) == 0 {
			p *= 1e-9 // so small that it is written with an exponent
		}
		img.Predictions = append(img.Predictions, Prediction{Tag: tags[t], Probability: float32(p)})
	}
	byProbability(img.Predictions)
}

// byProbability sorts predictions, most probable first.
func byProbability(list []Prediction) {
	slices.SortStableFunc(list, func(a, b Prediction) int { return cmp.Compare(b.Probability, a.Probability) })
}

// detect generates regions, predicted boxes that match most of them, and others that
// match none. The boxes are not sorted.
func (s *Service) detect(img *Image, p, i int, labels []int, k int, r *rand.Rand) {
	tags := s.Projects()[p].Tags
	draw := s.random(streamRegion, p, i)
	for _, t := range labels {
		box := randomBox(draw)
		img.Regions = append(img.Regions, Region{ID: s.newID(draw), Tag: tags[t], Created: img.Created + 2_343_210, Box: box})
		if len(img.Predictions) < s.config.Predictions && r.Float64() < 1/(1+math.Exp(-skill(k, t))) {
			found := box
			for side := range found {
				found[side] = max(0, found[side]*(1+float32(0.08*r.NormFloat64())))
			}
			img.Predictions = append(img.Predictions, Prediction{Tag: tags[t], Probability: 1 - float32(0.5*math.Pow(r.Float64(), 1.5)), Box: &found})
		}
	}
	for len(tags) > 0 && len(img.Predictions) < s.config.Predictions {
		box := randomBox(r)
		img.Predictions = append(img.Predictions, Prediction{Tag: tags[r.IntN(len(tags))], Probability: float32(math.Pow(r.Float64(), 4)), Box: &box})
	}
	r.Shuffle(len(img.Predictions), func(a, b int) {
		img.Predictions[a], img.Predictions[b] = img.Predictions[b], img.Predictions[a]
	})
}

func randomBox(r *rand.Rand) Box {
	left, top := 0.6*r.Float32(), 0.6*r.Float32()
	return Box{left, top, 0.1 + 0.3*r.Float32(), 0.1 + 0.3*r.Float32()}
}

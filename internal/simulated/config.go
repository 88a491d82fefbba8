// Package simulated is a simulation of the Custom Vision service, for tests and the
// demo: the read operations of the Training API over HTTP, with images that depend
// only on a seed, and with faults on request. Answers are formatted like those of the
// real service: float32 numbers, times without a zone, omitted fields, access tokens
// in URIs.
package simulated

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"time"
)

// Kind is the kind of a project's model.
type Kind string

// The kinds of project.
const (
	Multiclass Kind = "multiclass" // one tag per image
	Multilabel Kind = "multilabel" // any number of tags per image
	Detection  Kind = "detection"  // boxes
)

// Config configures a service. The zero value of a field means its default.
type Config struct {
	Seed        uint64
	Kind        Kind // default Multilabel
	Projects    int  // default 1
	Iterations  int  // completed ones per project, default 1; -1 means none
	Training    int  // iterations in training
	Failed      int  // iterations whose training failed
	Images      int  // evaluated images per iteration, default none
	Tags        int  // default 8, 5 for detection; a classifier predicts every tag
	Predictions int  // boxes per image, for detection; default 6
	Regions     int  // maximum of labelled boxes per image, for detection; default 3
	Key         string

	// ClassificationType is what projects and iterations say; "null" for null. The
	// default is Multiclass or Multilabel as the kind has it, and Multilabel for a detector.
	ClassificationType string

	Rate       float64 // requests per second before it answers 429; 0: no limit
	RetryAfter bool    // a 429 has the Retry-After header, not only the text
	Latency    time.Duration
}

func (c *Config) setDefaults() {
	c.Kind = cmp.Or(c.Kind, Multilabel)
	c.Key = cmp.Or(c.Key, "simulated")
	c.Projects = cmp.Or(c.Projects, 1)
	c.Iterations = max(cmp.Or(c.Iterations, 1), 0)
	c.Predictions = cmp.Or(c.Predictions, 6)
	c.Regions = cmp.Or(c.Regions, 3)
	if c.Kind == Detection {
		c.Tags = cmp.Or(c.Tags, 5)
	}
	c.Tags = cmp.Or(c.Tags, 8)
}

// salt makes ids differ between configurations with the same seed but different data,
// so that a warehouse can have both. The number of images does not matter: projects
// grow. The default configuration, which the demo uses, has no salt.
func (c *Config) salt() uint64 {
	what := fmt.Sprintf("%s of %d", c.Kind, c.Tags)
	if c.Kind == Detection {
		what += fmt.Sprintf(", %d boxes on %d", c.Predictions, c.Regions)
	}
	if what == "multilabel of 8" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(what))
	return h.Sum64()
}

func (c *Config) validate() error {
	if !slices.Contains([]Kind{Multiclass, Multilabel, Detection}, c.Kind) {
		return fmt.Errorf("kind %q is none of multiclass, multilabel, detection", c.Kind)
	}
	for _, f := range []struct {
		name       string
		value, max int
	}{
		{"images", c.Images, 10_000_000}, {"tags", c.Tags, 500}, {"predictions", c.Predictions, 200}, {"regions", c.Regions, 300},
		{"projects", c.Projects, 100}, {"iterations in training", c.Training, 20}, {"failed iterations", c.Failed, 20},
		{"iterations", c.Iterations + c.Training + c.Failed, 20},
	} {
		if f.value < 0 || f.value > f.max {
			return fmt.Errorf("%d %s: want 0 to %d", f.value, f.name, f.max)
		}
	}
	if c.Rate < 0 || c.Latency < 0 {
		return fmt.Errorf("rate %v and latency %v cannot be negative", c.Rate, c.Latency)
	}
	return nil
}

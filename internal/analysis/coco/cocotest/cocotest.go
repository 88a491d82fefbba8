// Package cocotest has detectors of known quality for tests: labels and detections, with
// the figures that pycocotools gives them. testdata/make_fixtures.py made them.
package cocotest

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"math"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/coco"
)

//go:embed testdata/*.json.gz
var files embed.FS

// Case is a detector.
type Case struct {
	Name       string                           `json:"name"`
	Images     [][2]int64                       `json:"images"` // width and height
	Tags       int                              `json:"tags"`
	Labels     []Row                            `json:"labels"`
	Detections []Row                            `json:"detections"`
	Answers    [][len(coco.Definitions)]float64 `json:"answers"` // of all tags, then of each; -1: none
}

// Row is image and tag (numbers from 0), for a detection its score, and a box in
// fractions of the image.
type Row []float64

// Image returns the row's image.
func (r Row) Image() int { return int(r[0]) }

// Tag returns the row's tag.
func (r Row) Tag() int { return int(r[1]) }

// Box returns the row's box.
func (r Row) Box() [4]float64 { return [4]float64(r[len(r)-4:]) }

// Made returns two hundred made-up detectors and a published example.
func Made(t testing.TB) []Case { return read(t, "testdata/cases.json.gz") }

// Demo returns the detectors of the simulated service.
func Demo(t testing.TB) []Case { return read(t, "testdata/demo.json.gz") }

func read(t testing.TB, name string) []Case {
	t.Helper()
	b, err := files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []Case }
	if err := json.NewDecoder(z).Decode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Cases
}

// Compare compares figures with one line of the answers.
func Compare(t testing.TB, what string, got coco.Figures, want [len(coco.Definitions)]float64) {
	t.Helper()
	for n, d := range coco.Definitions {
		v := got.Values[n]
		if math.IsNaN(v) {
			v = -1
		}
		if !(math.Abs(v-want[n]) <= 1e-12) {
			t.Errorf("%s: %s is %v, pycocotools says %v", what, d.Name, got.Values[n], want[n])
		}
	}
}

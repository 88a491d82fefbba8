package coco_test

import (
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/coco/cocotest"
)

func TestFiguresOfPycocotools(t *testing.T) {
	made, demo := cocotest.Made(t), cocotest.Demo(t)
	if len(made) != 201 || len(demo) != 2 {
		t.Fatalf("%d and %d cases", len(made), len(demo))
	}
	for _, c := range append(made, demo...) {
		t.Run(c.Name, func(t *testing.T) {
			var tags []coco.Figures
			for tag := range c.Tags {
				tags = append(tags, judge(c, tag))
				cocotest.Compare(t, "a tag", tags[tag], c.Answers[tag+1])
			}
			cocotest.Compare(t, "all tags", coco.Mean(tags), c.Answers[0])
		})
	}
}

func judge(c cocotest.Case, tag int) coco.Figures {
	labels, detections := make([][]coco.Box, len(c.Images)), make([][]coco.Detection, len(c.Images))
	pixels := func(r cocotest.Row) coco.Box {
		size := c.Images[r.Image()]
		return coco.Pixels(r.Box(), size[0], size[1])
	}
	for _, r := range c.Labels {
		if r.Tag() == tag {
			labels[r.Image()] = append(labels[r.Image()], pixels(r))
		}
	}
	for _, r := range c.Detections {
		if r.Tag() == tag {
			detections[r.Image()] = append(detections[r.Image()], coco.Detection{Box: pixels(r), Score: r[2]})
		}
	}
	var judged coco.Tag
	for i := range c.Images {
		judged.Add(labels[i], detections[i])
	}
	return judged.Figures()
}

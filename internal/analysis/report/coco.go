package report

import (
	"errors"
	"math"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/evaluate"
)

// cocoSection is COCO's twelve numbers of a detector.
type cocoSection struct {
	Figures []cocoFigure `json:"figures"` // of Shown
	Images  int64        `json:"images"`  // that they rest on
	Missing string       `json:"missing"` // why there are none

	Before        []cocoFigure `json:"before"` // of Compared
	ImagesBefore  int64        `json:"imagesBefore"`
	MissingBefore string       `json:"missingBefore"`
}

type cocoFigure struct {
	Name       string   `json:"name"`
	Overlap    string   `json:"overlap"`
	Area       string   `json:"area"`
	Detections int      `json:"detections"`
	Labels     int      `json:"labels"` // that it rests on
	Value      *float64 `json:"value"`  // null: there is no such label
}

// readCOCO judges the two iterations by COCO's rules, if they are a detector's. It needs
// every prediction, so it comes before the views are replaced.
func (l *loader) readCOCO() (err error) {
	if !l.shown().IsDetector() {
		return nil
	}
	s := &cocoSection{}
	if s.Figures, s.Images, s.Missing, err = l.cocoOf(l.shown()); err != nil {
		return err
	}
	if before, ok := l.compared(); ok && before.IsDetector() {
		if s.Before, s.ImagesBefore, s.MissingBefore, err = l.cocoOf(before); err != nil {
			return err
		}
	}
	l.page.COCO = s
	return nil
}

// cocoOf returns an iteration's numbers and how many images they rest on, or why there
// are none.
func (l *loader) cocoOf(i Iteration) (figures []cocoFigure, images int64, missing string, err error) {
	d, err := evaluate.COCO(l.ctx, l.conn, l.page.Project.ID, i.ID)
	if unmeasured, ok := errors.AsType[*evaluate.BoxesError](err); ok {
		return nil, 0, unmeasured.Reason, nil
	}
	if err != nil {
		return nil, 0, "", err
	}
	for n, definition := range coco.Definitions {
		f := cocoFigure{definition.Name, definition.Overlap, definition.Area, definition.Detections, d.Figures.Labels[n], nil}
		if v := d.Figures.Values[n]; !math.IsNaN(v) {
			f.Value = &v
		}
		figures = append(figures, f)
	}
	return figures, d.Images, "", nil
}

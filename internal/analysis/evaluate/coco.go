// Package evaluate judges the iterations of a warehouse where SQL alone cannot: it reads
// them through the views of package schema and computes the figures in Go.
package evaluate

import (
	"context"
	"fmt"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/rows"
)

// Detector is what COCO's twelve numbers say of an iteration.
type Detector struct {
	Images  int64 // how many were evaluated, also those without labels and detections
	Figures coco.Figures
	Tags    []Tag // those with labels, by name
}

// Tag is a tag of a detector.
type Tag struct {
	ID, Name string
	Figures  coco.Figures
}

// BoxesError says why an iteration's boxes cannot be measured in pixels.
type BoxesError struct{ Reason string }

func (e *BoxesError) Error() string { return e.Reason }

// COCO judges a detector's iteration by COCO's rules, in pixels of the recorded widths
// and heights. Images are in the order of the export, and detections in that of the
// service's list, which counts where several are equally sure. A tag without labels has
// no figures, and its detections do not count. If an image with boxes has no recorded
// size, or a box has no coordinates, the error is a [BoxesError].
//
// One tag is in memory at a time: the rows of its labels and predictions.
func COCO(ctx context.Context, q rows.Querier, project, iteration string) (*Detector, error) {
	r := reader{ctx, q, "project_id = " + rows.Quote(project) + " AND iteration_id = " + rows.Quote(iteration)}
	d := &Detector{}
	if err := r.check(d); err != nil {
		return nil, err
	}
	if err := r.tags(d); err != nil {
		return nil, err
	}
	var all []coco.Figures
	for n := range d.Tags {
		t := &d.Tags[n]
		var err error
		if t.Figures, err = r.judge(t.ID); err != nil {
			return nil, fmt.Errorf("judging the detections of tag %q (%s): %w", t.Name, t.ID, err)
		}
		all = append(all, t.Figures)
	}
	d.Figures = coco.Mean(all)
	return d, nil
}

// reader reads an iteration.
type reader struct {
	ctx   context.Context
	q     rows.Querier
	where string
}

// boxes selects labels and predictions, those of a where clause.
func boxes(where string) string {
	const columns = "image_id, box_left, box_top, box_width, box_height"
	return `(
  SELECT ` + columns + `, label_index AS place, NULL AS probability FROM current_labels WHERE ` + where + `
  UNION ALL
  SELECT ` + columns + `, prediction_index, probability FROM current_predictions WHERE ` + where + `
)`
}

// images selects what is needed of the images.
func (r reader) images() string {
	return "(SELECT image_id, image_index, width, height FROM current_images WHERE " + r.where + ")"
}

// check counts the images and looks for boxes that cannot be measured.
func (r reader) check(d *Detector) error {
	if err := r.rows("SELECT COUNT(*) FROM "+r.images(), []any{&d.Images}, func() {}); err != nil {
		return fmt.Errorf("counting the images: %w", err)
	}
	var noSize, noBox int64
	var unsized, unboxed *string
	const without = "NOT COALESCE(width > 0 AND height > 0, false)"
	const empty = "box_left IS NULL OR box_top IS NULL OR box_width IS NULL OR box_height IS NULL"
	err := r.rows(`
SELECT
  COUNT(DISTINCT image_id) FILTER (`+without+`), MIN(image_id) FILTER (`+without+`),
  COUNT(DISTINCT image_id) FILTER (`+empty+`), MIN(image_id) FILTER (`+empty+`)
FROM `+boxes(r.where)+` LEFT JOIN `+r.images()+` USING (image_id)`, []any{&noSize, &unsized, &noBox, &unboxed}, func() {})
	switch {
	case err != nil:
		return fmt.Errorf("looking for boxes that cannot be measured: %w", err)
	case noSize > 0:
		return &BoxesError{fmt.Sprintf("%s no recorded width and height, without which boxes cannot be measured in pixels: export the iteration again, if the service gives them now", have(noSize, *unsized))}
	case noBox > 0:
		return &BoxesError{fmt.Sprintf("%s labels or predictions without a box, and COCO judges boxes only", have(noBox, *unboxed))}
	}
	return nil
}

// have begins a sentence about images of which one is named.
func have(images int64, first string) string {
	if images == 1 {
		return fmt.Sprintf("image %q has", first)
	}
	return fmt.Sprintf("%d images, the first of them %q, have", images, first)
}

// tags reads which tags have labels.
func (r reader) tags(d *Detector) error {
	var t Tag
	err := r.rows("SELECT tag_id, COALESCE(MIN(tag_name), tag_id) AS name FROM current_labels WHERE "+r.where+" GROUP BY tag_id ORDER BY name, tag_id",
		[]any{&t.ID, &t.Name}, func() { d.Tags = append(d.Tags, t) })
	if err != nil {
		return fmt.Errorf("reading which tags have labels: %w", err)
	}
	return nil
}

// judge judges the detections of one tag, image by image.
func (r reader) judge(tag string) (coco.Figures, error) {
	var judged coco.Tag
	var labels []coco.Box
	var detections []coco.Detection
	var image, last string
	var width, height int64
	var probability *float64
	var box [4]float64
	err := r.rows(`
SELECT image_id, width, height, probability, box_left, box_top, box_width, box_height
FROM `+boxes(r.where+" AND tag_id = "+rows.Quote(tag))+` JOIN `+r.images()+` USING (image_id)
ORDER BY image_index, image_id, place`, []any{&image, &width, &height, &probability, &box[0], &box[1], &box[2], &box[3]}, func() {
		if image != last {
			judged.Add(labels, detections)
			labels, detections, last = labels[:0], detections[:0], image
		}
		pixels := coco.Pixels(box, width, height)
		if probability == nil {
			labels = append(labels, pixels)
		} else {
			detections = append(detections, coco.Detection{Box: pixels, Score: *probability})
		}
	})
	if err != nil {
		return coco.Figures{}, err
	}
	judged.Add(labels, detections)
	return judged.Figures(), nil
}

// rows scans each row of a query into the pointers and then calls use.
func (r reader) rows(query string, pointers []any, use func()) error {
	return rows.Each(r.ctx, r.q, query, pointers, use)
}

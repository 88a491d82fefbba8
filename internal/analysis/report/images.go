package report

import (
	"strconv"
	"strings"
)

// imageURIs are the addresses of an image at the service.
type imageURIs struct{ image, thumbnail string }

// readImages reads the sizes, labels and predictions of the listed images.
func (l *loader) readImages() error {
	l.uris = make([]imageURIs, len(l.page.Images))
	if len(l.page.Images) == 0 {
		return nil
	}
	var numbers []string
	for number := range l.image {
		numbers = append(numbers, "("+strconv.FormatInt(number, 10)+")")
	}
	if err := l.run("CREATE TABLE report_shown AS SELECT * FROM (VALUES " + strings.Join(numbers, ", ") + ") AS v(image_id)"); err != nil {
		return err
	}
	var number int64
	var image Image
	var uris imageURIs
	err := l.read(`SELECT image_id, id, width, height, COALESCE(image_uri, ''), COALESCE(thumbnail_uri, '')
FROM report_shown JOIN report_image_ids ON number = image_id LEFT JOIN report_current_images USING (image_id)
WHERE iteration_id IS NULL OR iteration_id = `+quote(l.shown().ID), []any{&number, &image.ID, &image.Width, &image.Height, &uris.image, &uris.thumbnail}, func() {
		n := l.image[number]
		l.uris[n] = uris
		i := &l.page.Images[n]
		i.ID, i.Width, i.Height = image.ID, image.Width, image.Height
	})
	if err != nil {
		return err
	}
	var probability *float64 // of a label: of the prediction that finds it
	var tag, right, index int
	var box [4]*float64
	err = l.read(`SELECT image_id, tag_id, probability, is_right, prediction_index`+l.boxes("box_")+`
FROM (SELECT *, 1 AS is_right FROM report_right UNION ALL BY NAME SELECT *, 0 AS is_right FROM report_wrong) SEMI JOIN report_shown USING (image_id)
WHERE iteration_id = `+quote(l.shown().ID)+` ORDER BY image_id, probability DESC, prediction_index`, []any{&number, l.tag(&tag), &probability, &right, &index, &box[0], &box[1], &box[2], &box[3]}, func() {
		i := &l.page.Images[l.image[number]]
		i.Predictions = append(i.Predictions, append([]any{tag, probability, right, index}, boxValues(box)...))
	})
	if err != nil {
		return err
	}
	return l.read(`SELECT c.image_id, c.tag_id, o.probability, c.label_index, c.box_left, c.box_top, c.box_width, c.box_height
FROM current_labels AS c SEMI JOIN report_shown AS s ON s.image_id = c.image_id
LEFT JOIN report_right AS o ON o.iteration_id = c.iteration_id AND o.image_id = c.image_id AND o.label_index = c.label_index
WHERE c.iteration_id = `+quote(l.shown().ID)+` ORDER BY c.image_id, c.label_index`, []any{&number, l.tag(&tag), &probability, &index, &box[0], &box[1], &box[2], &box[3]}, func() {
		i := &l.page.Images[l.image[number]]
		i.Labels = append(i.Labels, append([]any{tag, probability, index}, boxValues(box)...))
	})
}

// boxValues are a box's left, top, width and height; nothing for a classifier.
func boxValues(box [4]*float64) (values []any) {
	for _, v := range box {
		if v == nil {
			return nil
		}
		values = append(values, short(*v))
	}
	return values
}

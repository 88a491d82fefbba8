package transform

import (
	"github.com/cvexport/cvexport/schema"
)

// The fields of the service's JSON and the columns they fill.

// imageIDName is the name of an image's id, which is looked for ahead in images
// that may be left out.
const imageIDName = "id"

type imageRows struct {
	*rows
	object
	exportID *dictionary
	index    *column[int32]
	id       *idColumn
}

func newImageRows(opts Options, predictions, tags, regions *childRows) imageRows {
	r := newRows(schema.Images, opts.ExportID)
	id := add(r, "image_id", new(idColumn))
	return imageRows{
		rows: r, exportID: r.dictionary("export_id"), index: add(r, "image_index", new(column[int32])), id: id,
		object: object{depth: 2, fields: []field{
			{imageIDName, id, true},
			{"created", add(r, "created", new(timeColumn)), false},
			{"width", add(r, "width", new(pixelColumn)), false},
			{"height", add(r, "height", new(pixelColumn)), false},
			{"imageUri", add(r, "image_uri", &uriColumn{keepQuery: opts.KeepSAS}), false},
			{"thumbnailUri", add(r, "thumbnail_uri", &uriColumn{keepQuery: opts.KeepSAS}), false},
			{"predictions", list{&predictions.object}, false},
			{"tags", list{&tags.object}, false},
			{"regions", list{&regions.object}, false},
		}},
	}
}

// childRows are predictions, tags or regions.
type childRows struct {
	*rows
	object
	exportID, imageID *dictionary
	index             *column[int32]
	tagID             *tagIDColumn
}

// newChildRows adds the fields that predictions, tags and regions have in common.
func newChildRows(t schema.Table, exportID schema.ID, path, index string) *childRows {
	r := newRows(t, exportID)
	c := &childRows{
		rows: r, exportID: r.dictionary("export_id"), imageID: r.dictionary("image_id"), index: add(r, index, new(column[int32])),
		tagID: add(r, "tag_id", &tagIDColumn{dictionary: newDictionary()}),
	}
	c.object = object{path: path, depth: 4, fields: []field{
		{"tagId", c.tagID, true},
		{"tagName", add(r, "tag_name", &nameColumn{dictionary: newDictionary(), tags: c.tagID}), false},
	}}
	return c
}

func newPredictionRows(exportID schema.ID) *childRows {
	c := newChildRows(schema.Predictions, exportID, "predictions[].", "prediction_index")
	c.fields = append(c.fields,
		field{"probability", add(c.rows, "probability", new(doubleColumn)), true},
		// A classifier's predictions have no box.
		field{"boundingBox", &object{path: c.path + "boundingBox.", depth: c.depth + 1, fields: boxFields(c.rows)}, false})
	return c
}

func newTagRows(exportID schema.ID) *childRows {
	c := newChildRows(schema.Tags, exportID, "tags[].", "tag_index")
	c.fields = append(c.fields, labelFields(c.rows)...)
	return c
}

func newRegionRows(exportID schema.ID) *childRows {
	c := newChildRows(schema.Regions, exportID, "regions[].", "region_index")
	c.fields = append(c.fields, labelFields(c.rows)...)
	c.fields = append(c.fields, field{"regionId", add(c.rows, "region_id", new(idColumn)), true})
	c.fields = append(c.fields, boxFields(c.rows)...)
	return c
}

// labelFields are the fields that tags and regions have in common.
func labelFields(r *rows) []field {
	return []field{{"created", add(r, "created", new(timeColumn)), false}}
}

func boxFields(r *rows) []field {
	return []field{
		{"left", add(r, "box_left", new(doubleColumn)), true},
		{"top", add(r, "box_top", new(doubleColumn)), true},
		{"width", add(r, "box_width", new(doubleColumn)), true},
		{"height", add(r, "box_height", new(doubleColumn)), true},
	}
}

// endImage completes the rows of an image, which its list has begun.
func (c *childRows) endImage(exportID, id []byte) {
	n := c.tagID.len() - c.index.len()
	c.exportID.repeat(exportID, n)
	c.imageID.repeat(id, n)
	for i := range int32(n) {
		c.index.append(i)
	}
}

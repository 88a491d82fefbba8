package transform

import (
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/schema"
)

// The fields of the service's JSON and the columns they fill.

// imageIDName is the name of an image's id, which is looked for ahead in images
// that may be left out.
const imageIDName = "id"

// imageFields returns the fields of an image, with the columns of images.
func (d *Decoder) imageFields(opts Options) []field {
	r, uri := d.images, (*scanner).uri
	if opts.KeepSAS {
		uri = (*scanner).shortText
	}
	return []field{
		{imageIDName, add(r, "image_id", &texts{parse: d.imageID}), true},
		{"created", add(r, "created", &times{path: "created"}), false},
		{"width", number(r, "width", (*scanner).pixels), false},
		{"height", number(r, "height", (*scanner).pixels), false},
		{"imageUri", add(r, "image_uri", &texts{parse: uri}), false},
		{"thumbnailUri", add(r, "thumbnail_uri", &texts{parse: uri}), false},
		{"predictions", list{&d.predictions.object}, false},
		{"tags", list{&d.tags.object}, false},
		{"regions", list{&d.regions.object}, false},
	}
}

func newPredictionRows(exportID schema.ID) *itemRows {
	c := newItemRows(schema.Predictions, exportID, "prediction_index")
	box := &object{path: c.path + "boundingBox.", fields: boxFields(c.rows)}
	c.fields = append(c.fields,
		field{"probability", number(c.rows, "probability", (*scanner).probability), true},
		field{"boundingBox", box, false}) // a classifier's predictions have none
	return c
}

func newTagRows(exportID schema.ID) *itemRows {
	c := newItemRows(schema.Tags, exportID, "tag_index")
	c.fields = append(c.fields, field{"created", add(c.rows, "created", &times{path: c.path + "created"}), false})
	return c
}

func newRegionRows(exportID schema.ID) *itemRows {
	c := newItemRows(schema.Regions, exportID, "region_index")
	c.fields = slices.Concat(c.fields, []field{
		{"created", add(c.rows, "created", &times{path: c.path + "created"}), false},
		{"regionId", add(c.rows, "region_id", &texts{parse: (*scanner).idText}), true},
	}, boxFields(c.rows))
	return c
}

func boxFields(r *rows) []field {
	return []field{
		{"left", number(r, "box_left", (*scanner).fraction), true},
		{"top", number(r, "box_top", (*scanner).fraction), true},
		{"width", number(r, "box_width", (*scanner).fraction), true},
		{"height", number(r, "box_height", (*scanner).fraction), true},
	}
}

// number adds a column of numbers, which parse reads.
func number[T int32 | float64 | arrow.Timestamp](r *rows, name string, parse func(*scanner) T) value {
	return add(r, name, &column[T]{parse: parse})
}

// itemRows are the rows of a list that an image has: predictions, tags or regions.
type itemRows struct {
	*rows
	object
	imageID dictionary
	index   column[int32]
	tagID   tagColumn
}

// newItemRows adds the fields that predictions, tags and regions have in common. The
// service calls the lists like the tables.
func newItemRows(t schema.Table, exportID schema.ID, index string) *itemRows {
	c := &itemRows{rows: newRows(t, exportID), tagID: tagColumn{parse: (*scanner).idText}}
	add(c.rows, "image_id", &c.imageID)
	add(c.rows, index, &c.index)
	c.object = object{path: t.Name + "[].", fields: []field{
		{"tagId", add(c.rows, "tag_id", &c.tagID), true},
		{"tagName", add(c.rows, "tag_name", &tagColumn{parse: (*scanner).shortText, ids: &c.tagID}), false},
	}}
	return c
}

// endImage completes the rows of an image, which its list has begun.
func (c *itemRows) endImage(id []byte) {
	n := c.tagID.len() - c.index.len()
	if n == 0 {
		return
	}
	image := c.imageID.add(id) // it is new: no image comes again
	for i := range int32(n) {
		c.imageID.append(image)
		c.index.append(i)
	}
}

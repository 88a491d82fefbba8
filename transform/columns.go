package transform

import (
	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/schema"
)

// The columns of each table that a page fills, so that a value goes from the JSON
// to its column without a look-up.

type imageColumns struct {
	*rows
	exportID                   *dictionary
	id, imageURI, thumbnailURI *texts
	index, width, height       *column[int32]
	created                    *column[arrow.Timestamp]
}

func newImageColumns(exportID schema.ID) imageColumns {
	r := newRows(schema.Images, exportID)
	return imageColumns{
		rows: r, exportID: r.dictionary("export_id"), id: r.text("image_id"), index: numbers[int32](r, "image_index"),
		created: numbers[arrow.Timestamp](r, "created"), width: numbers[int32](r, "width"), height: numbers[int32](r, "height"),
		imageURI: r.text("image_uri"), thumbnailURI: r.text("thumbnail_uri"),
	}
}

// childColumns are what predictions, tags and regions have in common.
type childColumns struct {
	*rows
	exportID, imageID, tagID, tagName *dictionary
	index                             *column[int32]
	seen                              *seenTags
}

func newChildColumns(r *rows, index string) childColumns {
	return childColumns{
		rows: r, exportID: r.dictionary("export_id"), imageID: r.dictionary("image_id"), index: numbers[int32](r, index),
		tagID: r.dictionary("tag_id"), tagName: r.dictionary("tag_name"), seen: new(seenTags),
	}
}

// n is how many rows there are.
func (c *childColumns) n() int { return c.tagID.len() }

// appendImage writes what the rows of one image have in common beside those from
// from on.
func (c *childColumns) appendImage(exportID, id []byte, from int) {
	n := c.n() - from
	c.exportID.repeat(exportID, n)
	c.imageID.repeat(id, n)
	for i := range int32(n) {
		c.index.append(i)
	}
}

type predictionColumns struct {
	childColumns
	probability *column[float64]
	box         boxColumns
}

func newPredictionColumns(exportID schema.ID) predictionColumns {
	r := newRows(schema.Predictions, exportID)
	return predictionColumns{childColumns: newChildColumns(r, "prediction_index"), probability: numbers[float64](r, "probability"), box: r.box()}
}

type tagColumns struct {
	childColumns
	created *column[arrow.Timestamp]
}

func newTagColumns(exportID schema.ID) tagColumns {
	r := newRows(schema.Tags, exportID)
	return tagColumns{childColumns: newChildColumns(r, "tag_index"), created: numbers[arrow.Timestamp](r, "created")}
}

type regionColumns struct {
	childColumns
	regionID *texts
	created  *column[arrow.Timestamp]
	box      boxColumns
}

func newRegionColumns(exportID schema.ID) regionColumns {
	r := newRows(schema.Regions, exportID)
	return regionColumns{
		childColumns: newChildColumns(r, "region_index"), regionID: r.text("region_id"),
		created: numbers[arrow.Timestamp](r, "created"), box: r.box(),
	}
}

// boxColumns are left, top, width and height.
type boxColumns [4]*column[float64]

func (b *boxColumns) append(box *[4]float64, present bool) {
	for i, c := range b {
		c.appendIf(present, box[i])
	}
}

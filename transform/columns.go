package transform

import (
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// The builders of each table that a page fills, by column, so that a value
// goes from the JSON to its column without a look-up.

type imageColumns struct {
	*rows
	exportID, id, imageURI, thumbnailURI *array.BinaryBuilder
	index, width, height                 *array.Int32Builder
	created                              *array.TimestampBuilder
}

func newImageColumns(mem memory.Allocator, exportID schema.ID) imageColumns {
	r := newRows(mem, schema.Images, exportID)
	return imageColumns{
		rows: r, exportID: r.text("export_id"), id: r.text("image_id"), index: r.int32("image_index"),
		created: r.time("created"), width: r.int32("width"), height: r.int32("height"),
		imageURI: r.text("image_uri"), thumbnailURI: r.text("thumbnail_uri"),
	}
}

// childColumns are what predictions, tags and regions have in common.
type childColumns struct {
	*rows
	exportID, imageID, tagID, tagName *array.BinaryBuilder
	index                             *array.Int32Builder
}

func newChildColumns(r *rows, index string) childColumns {
	return childColumns{
		rows: r, exportID: r.text("export_id"), imageID: r.text("image_id"), index: r.int32(index),
		tagID: r.text("tag_id"), tagName: r.text("tag_name"),
	}
}

type predictionColumns struct {
	childColumns
	probability *array.Float64Builder
	box         boxColumns
}

func newPredictionColumns(mem memory.Allocator, exportID schema.ID) predictionColumns {
	r := newRows(mem, schema.Predictions, exportID)
	return predictionColumns{childColumns: newChildColumns(r, "prediction_index"), probability: r.float("probability"), box: r.box()}
}

type tagColumns struct {
	childColumns
	created *array.TimestampBuilder
}

func newTagColumns(mem memory.Allocator, exportID schema.ID) tagColumns {
	r := newRows(mem, schema.Tags, exportID)
	return tagColumns{childColumns: newChildColumns(r, "tag_index"), created: r.time("created")}
}

type regionColumns struct {
	childColumns
	regionID *array.BinaryBuilder
	created  *array.TimestampBuilder
	box      boxColumns
}

func newRegionColumns(mem memory.Allocator, exportID schema.ID) regionColumns {
	r := newRows(mem, schema.Regions, exportID)
	return regionColumns{
		childColumns: newChildColumns(r, "region_index"), regionID: r.text("region_id"),
		created: r.time("created"), box: r.box(),
	}
}

package schema

import (
	"fmt"
	"slices"
)

// Columns that several tables share.
var (
	exportID  = Column{Name: "export_id", Type: String, Repeats: true, Doc: "the export that wrote the row, a UUIDv7"}
	imageID   = Column{Name: "image_id", Type: String, Repeats: true, Doc: "the image"}
	tagID     = Column{Name: "tag_id", Type: String, Repeats: true, Doc: "the tag"}
	tagName   = Column{Name: "tag_name", Type: String, Nullable: true, Repeats: true, Doc: "the tag's name when the iteration was exported"}
	boxParts  = []string{"left", "top", "width", "height"}
	boxPartOf = map[string]string{
		"left": "left edge", "top": "top edge", "width": "width", "height": "height",
	}
)

// box returns the columns of a bounding box in fractions of the image's size. If
// nullable, either all four are null or none.
func box(nullable bool) []Column {
	var columns []Column
	for _, part := range boxParts {
		doc := fmt.Sprintf("the box's %s, as a fraction of the image", boxPartOf[part])
		if nullable {
			doc += "; the four are null together, for a classifier"
		}
		columns = append(columns, Column{Name: "box_" + part, Type: Double, Nullable: nullable, Doc: doc})
	}
	return columns
}

// The tables, in the order in which they are published.
var (
	Images = Table{Name: "images", RowPer: "evaluated image", Key: []string{"image_id"}, Columns: []Column{
		exportID,
		{Name: "image_id", Type: String, Doc: "the image"},
		{Name: "image_index", Type: Int32, Doc: "the image's place in the export, from 0, oldest first"},
		{Name: "created", Type: Timestamp, Nullable: true, Doc: "when the image was uploaded"},
		{Name: "width", Type: Int32, Nullable: true, Repeats: true, Doc: "in pixels"},
		{Name: "height", Type: Int32, Nullable: true, Repeats: true, Doc: "in pixels"},
		{Name: "image_uri", Type: String, Nullable: true, Doc: "where the service keeps the image; without its access token unless asked for"},
		{Name: "thumbnail_uri", Type: String, Nullable: true, Doc: "where the service keeps a small picture of it; without its access token unless asked for"},
	}}
	Predictions = Table{Name: "predictions", RowPer: "prediction", Key: []string{"image_id", "prediction_index"}, Columns: append([]Column{
		exportID,
		imageID,
		{Name: "prediction_index", Type: Int32, Repeats: true, Doc: "the prediction's place in the service's list, from 0"},
		tagID,
		tagName,
		{Name: "probability", Type: Double, Doc: "how sure the model was, 0 to 1"},
	}, box(true)...)}
	Tags = Table{Name: "tags", RowPer: "tag on an image", Key: []string{"image_id", "tag_index"}, Columns: []Column{
		exportID,
		imageID,
		{Name: "tag_index", Type: Int32, Repeats: true, Doc: "the tag's place in the service's list, from 0"},
		tagID,
		tagName,
		{Name: "created", Type: Timestamp, Nullable: true, Doc: "when the image was tagged"},
	}}
	Regions = Table{Name: "regions", RowPer: "labelled region", Key: []string{"image_id", "region_index"}, Columns: append([]Column{
		exportID,
		imageID,
		{Name: "region_index", Type: Int32, Repeats: true, Doc: "the region's place in the service's list, from 0"},
		{Name: "region_id", Type: String, Doc: "the region"},
		tagID,
		tagName,
		{Name: "created", Type: Timestamp, Nullable: true, Doc: "when the region was drawn"},
	}, box(false)...)}
	TagPerformance = Table{Name: "tag_performance", RowPer: "tag of the iteration", Key: []string{"tag_id"}, Columns: []Column{
		exportID,
		{Name: "tag_id", Type: String, Doc: "the tag"},
		{Name: "tag_name", Type: String, Nullable: true, Doc: "the tag's name when the iteration was exported"},
		{Name: "tag_type", Type: String, Nullable: true, Repeats: true, Doc: "Regular, Negative or what the service calls it"},
		{Name: "image_count", Type: Int32, Nullable: true, Doc: "how many training images have the tag"},
		{Name: "precision", Type: Double, Nullable: true, Doc: "the service's own figure, at the export's thresholds"},
		{Name: "precision_std_deviation", Type: Double, Nullable: true, Doc: "the service's own figure"},
		{Name: "recall", Type: Double, Nullable: true, Doc: "the service's own figure, at the export's thresholds"},
		{Name: "recall_std_deviation", Type: Double, Nullable: true, Doc: "the service's own figure"},
		{Name: "average_precision", Type: Double, Nullable: true, Doc: "the service's own figure"},
	}}
	Exports = Table{Name: "exports", RowPer: "committed export: written last, it is the commit", Key: []string{"export_id"}, Columns: []Column{
		exportID,
		{Name: "project_name", Type: String, Nullable: true, Doc: "the project's name"},
		{Name: "iteration_name", Type: String, Nullable: true, Doc: "the iteration's name"},
		{Name: "domain_id", Type: String, Nullable: true, Doc: "the domain the iteration was trained on"},
		{Name: "classification_type", Type: String, Nullable: true, Doc: "Multiclass or Multilabel, or null; detectors may have it too, see model_kind"},
		{Name: "training_type", Type: String, Nullable: true, Doc: "Regular or Advanced"},
		{Name: "status", Type: String, Doc: "the iteration's status: Completed"},
		{Name: "created", Type: Timestamp, Nullable: true, Doc: "when the iteration was created"},
		{Name: "last_modified", Type: Timestamp, Nullable: true, Doc: "when the iteration was last changed"},
		{Name: "trained_at", Type: Timestamp, Nullable: true, Doc: "when its training ended"},
		{Name: "publish_name", Type: String, Nullable: true, Doc: "the name it is published under"},
		{Name: "precision", Type: Double, Nullable: true, Doc: "the service's own overall figure"},
		{Name: "recall", Type: Double, Nullable: true, Doc: "the service's own overall figure"},
		{Name: "average_precision", Type: Double, Nullable: true, Doc: "the service's own overall figure (mAP)"},
		{Name: "probability_threshold", Type: Double, Doc: "the threshold its figures were asked for at"},
		{Name: "overlap_threshold", Type: Double, Doc: "the box overlap its figures were asked for at"},
		{Name: "images", Type: Int64, Doc: "rows of images"},
		{Name: "predictions", Type: Int64, Doc: "rows of predictions"},
		{Name: "tags", Type: Int64, Doc: "rows of tags"},
		{Name: "regions", Type: Int64, Doc: "rows of regions"},
		{Name: "tag_performance", Type: Int64, Doc: "rows of tag_performance"},
		{Name: "tag_filter", Type: StringList, Doc: "ids of the tags the export was limited to; empty: every image"},
		{Name: "objects", Type: StructList, Doc: "the objects this export is made of", Fields: []Column{
			{Name: "table", Type: String, Doc: "the table"},
			{Name: "key", Type: String, Doc: "the object's key below the warehouse's root"},
			{Name: "rows", Type: Int64, Doc: "its rows"},
			{Name: "bytes", Type: Int64, Doc: "its size"},
			{Name: "crc32c", Type: Int64, Doc: "its CRC-32C (Castagnoli), 0 to 4294967295"},
		}},
		{Name: "endpoint_host", Type: String, Doc: "the service's host"},
		{Name: "api_version", Type: String, Doc: "the version of the API"},
		{Name: "schema_version", Type: Int32, Doc: "the version of these tables"},
		{Name: "exporter_version", Type: String, Doc: "the version of cvexport"},
		{Name: "started_at", Type: Timestamp, Doc: "when the export began"},
		{Name: "finished_at", Type: Timestamp, Doc: "when its tables were published"},
		{Name: "model_kind", Type: String, Nullable: true, Doc: "classification or detection: the type of the iteration's domain, and detection if there are boxes; null before schema version 2"},
		{Name: "figures_missing", Type: String, Nullable: true, Doc: "how many of the service's own figures it did not give, and which; nightly asks for them again; null if it gave all, and before schema version 2"},
	}}
)

// The kinds of models, in exports.model_kind.
const (
	Classification = "classification" // says which tags an image has
	Detection      = "detection"      // says where in the image they are
)

// TableSet is a list of tables that are published together.
type TableSet struct {
	Data   []Table // in the order in which they are published; the others refer to the images of the first
	Commit Table   // published last; its object commits the others
}

// Evaluation is what is published of one evaluated iteration.
var Evaluation = TableSet{
	Data:   []Table{Images, Predictions, Tags, Regions, TagPerformance},
	Commit: Exports,
}

// All returns the tables in the order in which they are published.
func (s TableSet) All() []Table { return append(slices.Clip(s.Data), s.Commit) }

// Find returns the data table of a name. If there is none, because a later version
// added it, known is false and the table has the name alone.
func (s TableSet) Find(name string) (t Table, known bool) {
	for _, t := range s.Data {
		if t.Name == name {
			return t, true
		}
	}
	return Table{Name: name}, false
}

// DataTables returns the tables that an export writes before it commits.
func DataTables() []Table { return Evaluation.Data }

// Tables returns all tables of an evaluation; the last one, exports, is the commit.
func Tables() []Table { return Evaluation.All() }

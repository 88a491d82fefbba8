package transform

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// TagPerformance is the service's own judgement of one tag. A nil field is one
// the service did not give.
type TagPerformance struct {
	ID                 schema.ID
	Name, Type         *string
	ImageCount         *int32
	Precision, Recall  *float64
	PrecisionDeviation *float64
	RecallDeviation    *float64
	AveragePrecision   *float64
}

// TagPerformances makes the tag_performance record. The owner calls Release.
func TagPerformances(mem memory.Allocator, exportID schema.ID, tags []TagPerformance) arrow.RecordBatch {
	r := newRows(mem, schema.TagPerformance, exportID)
	defer r.builder.Release()
	id := exportID.Append(nil)
	for _, tag := range tags {
		r.text("export_id").Append(id)
		r.text("tag_id").Append(tag.ID.Append(nil))
		appendString(r.text("tag_name"), tag.Name)
		appendString(r.text("tag_type"), tag.Type)
		if tag.ImageCount != nil {
			r.int32("image_count").Append(*tag.ImageCount)
		} else {
			r.int32("image_count").AppendNull()
		}
		appendFloat(r.float("precision"), tag.Precision)
		appendFloat(r.float("precision_std_deviation"), tag.PrecisionDeviation)
		appendFloat(r.float("recall"), tag.Recall)
		appendFloat(r.float("recall_std_deviation"), tag.RecallDeviation)
		appendFloat(r.float("average_precision"), tag.AveragePrecision)
	}
	return r.record()
}

func appendString(b *array.BinaryBuilder, s *string) {
	if s != nil {
		b.AppendString(*s)
	} else {
		b.AppendNull()
	}
}

func appendFloat(b *array.Float64Builder, f *float64) {
	if f != nil {
		b.Append(*f)
	} else {
		b.AppendNull()
	}
}

package transform

import (
	"github.com/apache/arrow-go/v18/arrow"
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
	r := newRows(schema.TagPerformance, exportID)
	export, id, name, kind := r.dictionary("export_id"), r.text("tag_id"), r.text("tag_name"), r.dictionary("tag_type")
	images := numbers[int32](r, "image_count")
	precision, precisionDeviation := numbers[float64](r, "precision"), numbers[float64](r, "precision_std_deviation")
	recall, recallDeviation := numbers[float64](r, "recall"), numbers[float64](r, "recall_std_deviation")
	averagePrecision := numbers[float64](r, "average_precision")
	for _, tag := range tags {
		export.repeat(exportID.Append(nil), 1)
		id.append(tag.ID.Append(nil))
		name.appendText(textOf(tag.Name))
		kind.appendText(textOf(tag.Type))
		appendPointer(images, tag.ImageCount)
		appendPointer(precision, tag.Precision)
		appendPointer(precisionDeviation, tag.PrecisionDeviation)
		appendPointer(recall, tag.Recall)
		appendPointer(recallDeviation, tag.RecallDeviation)
		appendPointer(averagePrecision, tag.AveragePrecision)
	}
	return r.record(mem)
}

func textOf(s *string) text {
	if s == nil {
		return text{}
	}
	return text{bytes: []byte(*s), present: true}
}

func appendPointer[T int32 | float64](c *column[T], v *T) {
	if v != nil {
		c.append(*v)
	} else {
		c.appendNull()
	}
}

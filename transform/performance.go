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
func TagPerformances(mem memory.Allocator, exportID schema.ID, tags []TagPerformance) (record arrow.RecordBatch, err error) {
	r := newRows(schema.TagPerformance, exportID)
	export, id, name, kind := r.dictionary("export_id"), add(r, "tag_id", new(texts)), add(r, "tag_name", new(texts)), r.dictionary("tag_type")
	images := add(r, "image_count", new(column[int32]))
	double := func(name string) *column[float64] { return add(r, name, new(column[float64])) }
	precision, precisionDeviation := double("precision"), double("precision_std_deviation")
	recall, recallDeviation := double("recall"), double("recall_std_deviation")
	averagePrecision := double("average_precision")
	for _, tag := range tags {
		export.repeat(exportID.Append(nil), 1)
		id.append(tag.ID.Append(nil))
		appendPointer(tag.Name, func(s string) { name.append([]byte(s)) }, name.appendNull)
		appendPointer(tag.Type, func(s string) { kind.append(kind.index([]byte(s))) }, kind.appendNull)
		appendPointer(tag.ImageCount, images.append, images.appendNull)
		appendPointer(tag.Precision, precision.append, precision.appendNull)
		appendPointer(tag.PrecisionDeviation, precisionDeviation.append, precisionDeviation.appendNull)
		appendPointer(tag.Recall, recall.append, recall.appendNull)
		appendPointer(tag.RecallDeviation, recallDeviation.append, recallDeviation.appendNull)
		appendPointer(tag.AveragePrecision, averagePrecision.append, averagePrecision.appendNull)
	}
	err = guard(func() { record = r.record(mem) })
	return record, err
}

func appendPointer[T any](v *T, appendValue func(T), appendNull func()) {
	if v != nil {
		appendValue(*v)
	} else {
		appendNull()
	}
}

package transform

import (
	"math"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/schema"
)

// Every value of a tag's performance is in the record as it is, to the last bit.
func TestTagPerformances(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	id, err := schema.ParseID(tag)
	if err != nil {
		t.Fatal(err)
	}
	name, kind, images := "<\"ü\u2028\\&'>", "Regular", int32(math.MaxInt32)
	doubles := []float64{0.901985943, math.SmallestNonzeroFloat64, math.MaxFloat64, math.Copysign(0, -1), 1}
	record, err := TagPerformances(mem, exportID, []TagPerformance{
		{ID: id, Name: &name, Type: &kind, ImageCount: &images, Precision: &doubles[0], PrecisionDeviation: &doubles[1],
			Recall: &doubles[2], RecallDeviation: &doubles[3], AveragePrecision: &doubles[4]},
		{ID: exportID},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer record.Release()
	want := []row{
		{"export_id": exportID.String(), "tag_id": tag, "tag_name": name, "tag_type": kind, "image_count": images, "precision": doubles[0], "precision_std_deviation": doubles[1],
			"recall": doubles[2], "recall_std_deviation": doubles[3], "average_precision": doubles[4]},
		{"export_id": exportID.String(), "tag_id": exportID.String(), "tag_name": nil, "tag_type": nil, "image_count": nil, "precision": nil, "precision_std_deviation": nil,
			"recall": nil, "recall_std_deviation": nil, "average_precision": nil},
	}
	if diff := cmp.Diff(want, recordRows(record)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if !record.Schema().Equal(schema.TagPerformance.Record(exportID)) {
		t.Errorf("schema %s", record.Schema())
	}
	none, err := TagPerformances(mem, exportID, nil)
	if err != nil || none.NumRows() != 0 {
		t.Fatal(none, err)
	}
	none.Release()
}

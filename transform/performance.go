package transform

import (
	"bytes"
	"encoding/json"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// TagPerformance is the service's own judgement of one tag. A nil field is one
// the service did not give. The fields' tags are the columns.
type TagPerformance struct {
	ID                 schema.ID `json:"tag_id"`
	Name               *string   `json:"tag_name"`
	Type               *string   `json:"tag_type"`
	ImageCount         *int32    `json:"image_count"`
	Precision          *float64  `json:"precision"`
	PrecisionDeviation *float64  `json:"precision_std_deviation"`
	Recall             *float64  `json:"recall"`
	RecallDeviation    *float64  `json:"recall_std_deviation"`
	AveragePrecision   *float64  `json:"average_precision"`
}

// TagPerformances makes the tag_performance record. The owner calls Release.
func TagPerformances(mem memory.Allocator, exportID schema.ID, tags []TagPerformance) (record arrow.RecordBatch, err error) {
	type row struct {
		ExportID schema.ID `json:"export_id"`
		TagPerformance
	}
	rows := make([]row, len(tags))
	for i, tag := range tags {
		rows[i] = row{exportID, tag}
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return nil, err
	}
	err = guard(func() (err error) {
		record, _, err = array.RecordFromJSON(mem, schema.TagPerformance.Record(exportID), bytes.NewReader(text))
		return err
	})
	return record, err
}

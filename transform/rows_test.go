package transform

import (
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/cvexport/cvexport/schema"
)

// row is a decoded row, by column; a null is nil.
type row map[string]any

func decodedRows(r *Records) map[string][]row {
	out := map[string][]row{}
	for _, t := range []schema.Table{schema.Images, schema.Predictions, schema.Tags, schema.Regions} {
		out[t.Name] = recordRows(r.ByTable(t.Name))
	}
	return out
}

func recordRows(rec arrow.RecordBatch) []row {
	var out []row
	for i := range int(rec.NumRows()) {
		r := row{}
		for c, f := range rec.Schema().Fields() {
			r[f.Name] = cell(rec.Column(c), i)
		}
		out = append(out, r)
	}
	return out
}

func cell(a arrow.Array, i int) any {
	if a.IsNull(i) {
		return nil
	}
	switch a := a.(type) {
	case *array.String:
		return a.Value(i)
	case *array.Dictionary:
		return cell(a.Dictionary(), a.GetValueIndex(i))
	case *array.Int32:
		return a.Value(i)
	case *array.Float64:
		return a.Value(i)
	case *array.Timestamp:
		return timeCell(int64(a.Value(i)))
	}
	panic(a.DataType().String())
}

func timeCell(micros int64) any { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }

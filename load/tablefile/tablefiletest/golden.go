// Package tablefiletest makes the rows that tests write to Parquet files.
package tablefiletest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// Row is a table's row in plain Go: nil, string, int32, int64, float64,
// time.Time in UTC, []any and map[string]any, one value a column. Tests write
// rows and compare what each reader returns with them.
type Row []any

// ExportID is the export of the rows that [Golden] makes.
var ExportID = schema.ID{0x01, 0x90, 0xaa, 0xaa, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x0a}

var (
	goldenTexts = []string{"a", "", "Schere ✂ „x“", "日本語のタグ", "e\u0301 \U0001f469\u200d\U0001f52c", "tab\there\nline \"quoted\" 'it''s'", "null", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"}
	goldenReals = []float64{0, 1, -1, 8.79471951e-13, float64(math.SmallestNonzeroFloat32), 0.901985943, -0.08163983, 0.1,
		math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1), float64(math.MaxFloat32)}
	goldenInt32s = []int32{0, 1, -1, math.MaxInt32, math.MinInt32, 640, 480}
	goldenInt64s = []int64{0, 1, math.MaxInt64, math.MinInt64, math.MaxUint32}
	goldenTimes  = []time.Time{
		time.Date(2020, 2, 11, 16, 43, 8, 987910000, time.UTC),
		time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		time.Date(1600, 2, 29, 0, 0, 0, 1000, time.UTC),
		time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2028, 9, 25, 23, 59, 59, 123456000, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	}
)

// Golden returns n rows of edge cases: nulls where a column may have them, the four
// parts of a box null together.
func Golden(t schema.Table, n int) []Row {
	rng := rand.New(rand.NewPCG(1, uint64(len(t.Name))))
	rows := make([]Row, n)
	for i := range rows {
		nullBox := rng.IntN(3) == 0
		for _, c := range t.Columns {
			box := len(c.Name) > 4 && c.Name[:4] == "box_"
			switch {
			case c.Name == "export_id":
				rows[i] = append(rows[i], ExportID.String())
			case c.Nullable && (box && nullBox || !box && rng.IntN(4) == 0):
				rows[i] = append(rows[i], nil)
			default:
				rows[i] = append(rows[i], goldenValue(rng, c))
			}
		}
	}
	return rows
}

func goldenValue(rng *rand.Rand, c schema.Column) any {
	switch c.Type {
	case schema.String:
		return pick(rng, goldenTexts)
	case schema.Timestamp:
		return pick(rng, goldenTimes)
	case schema.Double:
		return pick(rng, goldenReals)
	case schema.Int32:
		return pick(rng, goldenInt32s)
	case schema.Int64:
		return pick(rng, goldenInt64s)
	case schema.StringList:
		list := []any{}
		for range rng.IntN(4) {
			list = append(list, pick(rng, goldenTexts))
		}
		return list
	case schema.StructList:
		list := []any{}
		for range rng.IntN(4) {
			element := map[string]any{}
			for _, f := range c.Fields {
				element[f.Name] = goldenValue(rng, f)
			}
			list = append(list, element)
		}
		return list
	}
	panic(fmt.Sprintf("no golden value of type %d", c.Type))
}

func pick[T any](rng *rand.Rand, values []T) T { return values[rng.IntN(len(values))] }

// Record returns an Arrow record of rows.
func Record(mem memory.Allocator, t schema.Table, rows []Row) arrow.RecordBatch {
	return RecordAs(mem, t.Arrow(ExportID), rows)
}

// RecordAs returns an Arrow record of rows in the types of s, which may be dictionaries.
func RecordAs(mem memory.Allocator, s *arrow.Schema, rows []Row) arrow.RecordBatch {
	b := array.NewRecordBuilder(mem, s)
	defer b.Release()
	for _, r := range rows {
		for i, v := range r {
			buildValue(b.Field(i), v)
		}
	}
	return b.NewRecordBatch()
}

func buildValue(b array.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.AppendNull()
	case string:
		if dictionary, ok := b.(*array.BinaryDictionaryBuilder); ok {
			if err := dictionary.AppendString(v); err != nil {
				panic(err)
			}
			return
		}
		b.(*array.StringBuilder).Append(v)
	case float64:
		b.(*array.Float64Builder).Append(v)
	case int32:
		b.(*array.Int32Builder).Append(v)
	case int64:
		b.(*array.Int64Builder).Append(v)
	case time.Time:
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
	case []any:
		list := b.(*array.ListBuilder)
		list.Append(true)
		for _, e := range v {
			buildValue(list.ValueBuilder(), e)
		}
	case map[string]any:
		s := b.(*array.StructBuilder)
		s.Append(true)
		for i, f := range s.Type().(*arrow.StructType).Fields() {
			buildValue(s.FieldBuilder(i), v[f.Name])
		}
	default:
		panic(fmt.Sprintf("no builder for %T", v))
	}
}

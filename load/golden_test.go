package load

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// A row is a table's row in plain Go: nil, string, int32, int64, float64,
// time.Time in UTC, []any and map[string]any, one value a column. Tests write
// rows and compare what each reader makes of the file with them.
type row []any

var (
	projectA   = id("1a1a1a1a-0000-4000-8000-000000000001")
	iterationA = id("2b2b2b2b-0000-4000-8000-000000000002")
	exportA    = id("0190aaaa-0000-7000-8000-00000000000a")
	exportB    = id("0190bbbb-0000-7000-8000-00000000000b")
)

func id(s string) schema.ID {
	parsed, err := schema.ParseID(s)
	if err != nil {
		panic(err)
	}
	return parsed
}

func nthID(kind byte, n int) string {
	return schema.ID{kind, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}.String()
}

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

// goldenRows are n rows that hold every value a column may meet, nulls where
// it may be null, the four parts of a box null together.
func goldenRows(t schema.Table, n int) []row {
	rng := rand.New(rand.NewPCG(1, uint64(len(t.Name))))
	rows := make([]row, n)
	for i := range rows {
		nullBox := rng.IntN(3) == 0
		for _, c := range t.Columns {
			box := len(c.Name) > 4 && c.Name[:4] == "box_"
			switch {
			case c.Name == "export_id":
				rows[i] = append(rows[i], exportA.String())
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

// record makes an Arrow record of rows.
func record(mem memory.Allocator, t schema.Table, rows []row) arrow.RecordBatch {
	return recordAs(mem, t.Arrow(exportA), rows)
}

func recordAs(mem memory.Allocator, s *arrow.Schema, rows []row) arrow.RecordBatch {
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

// same compares what a reader made of a file, in the form of exactRows, with the rows written.
func same(t *testing.T, table schema.Table, got [][]string, rows []row) {
	t.Helper()
	want := exactRows(rows)
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("row %d has %d columns, want %d", i, len(got[i]), len(want[i]))
		}
		for j := range want[i] {
			if got[i][j] != want[i][j] {
				t.Fatalf("row %d, column %s: %s, want %s", i, table.Columns[j].Name, got[i][j], want[i][j])
			}
		}
	}
}

func exactRows(rows []row) [][]string {
	texts := make([][]string, len(rows))
	for i, r := range rows {
		for _, v := range r {
			texts[i] = append(texts[i], exact(v))
		}
	}
	return texts
}

// exact writes a value so that two differ in it if they differ at all.
// Package internal/arrow15 writes the same.
func exact(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return fmt.Sprintf("string %q", v)
	case float64:
		return fmt.Sprintf("float64 %g %016x", v, math.Float64bits(v))
	case int32, int64:
		return fmt.Sprintf("%T %d", v, v)
	case time.Time:
		return "time " + v.UTC().Format(time.RFC3339Nano)
	case []any:
		text := "["
		for _, e := range v {
			text += exact(e) + "; "
		}
		return text + "]"
	case map[string]any:
		fields := make(map[string]string, len(v))
		for k, e := range v {
			fields[k] = exact(e)
		}
		return fmt.Sprint(fields) // sorted by key
	}
	panic(fmt.Sprintf("no exact form of %T", v))
}

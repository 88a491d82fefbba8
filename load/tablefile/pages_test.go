package tablefile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/metadata"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// fuzzTable has a column of every kind that pages are made of.
var fuzzTable = schema.Table{Name: "fuzz", Columns: []schema.Column{
	{Name: "word", Type: schema.String, Repeats: true},
	{Name: "name", Type: schema.String, Nullable: true, Repeats: true},
	{Name: "text", Type: schema.String, Nullable: true},
	{Name: "int", Type: schema.Int32},
	{Name: "long", Type: schema.Int64, Nullable: true},
	{Name: "time", Type: schema.Timestamp, Nullable: true},
	{Name: "real", Type: schema.Double, Nullable: true},
}}

// fuzzRows makes a row of every two bytes, as often as the first of them says.
func fuzzRows(data []byte) (rows []tablefiletest.Row) {
	var values [8]byte
	for ; len(data) >= 2 && len(rows) < 300; data = data[2:] {
		what, value := data[0], data[1]
		copy(values[1:], values[:])
		values[0] = value
		bits := binary.LittleEndian.Uint64(values[:])
		real := math.Float64frombits(bits)
		if math.IsNaN(real) || math.IsInf(real, 0) {
			real = 0
		}
		null := func(bit int, v any) any {
			if what>>bit&1 == 1 {
				return nil
			}
			return v
		}
		r := tablefiletest.Row{
			string(rune(0x100 + bits%0x1000)), null(0, strings.Repeat("x", int(value%40))), null(1, strings.ToValidUTF8(string(values[:value%9]), "?")),
			int32(bits), null(2, int64(bits)), null(3, time.UnixMicro(int64(bits>>16))), null(4, real),
		}
		for range 1 << (what >> 5) {
			rows = append(rows, r)
		}
	}
	return rows
}

// FuzzPages: Arrow's reader finds every value in the pages, and the minimum, the
// maximum and the number of nulls of every column chunk are those of its values.
func FuzzPages(f *testing.F) {
	for _, data := range []string{"", "\x00a", "\xffa", "\xe0a\x00b\x1fc", strings.Repeat("\x00a\x01b\x02c\x04d\x08e\x10f", 40), strings.Repeat("\xe0a\x80b", 40)} {
		f.Add([]byte(data), uint16(100), uint16(50), uint8(30), true)
		f.Add([]byte(data), uint16(999), uint16(9_999), uint8(255), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, groupRows, pageSize uint16, recordRows uint8, dictionaries bool) {
		rows := fuzzRows(data)
		as := fuzzTable.Arrow(tablefiletest.ExportID)
		if dictionaries {
			as = fuzzTable.Record(tablefiletest.ExportID)
		}
		var body bytes.Buffer
		props := properties(fuzzTable, func(int) bool { return false })
		w, err := newFileWriter(&sink{w: &body}, as, props)
		if err != nil {
			t.Fatal(err)
		}
		w.pages.size = int(pageSize)
		for part := range slices.Chunk(rows, int(groupRows)%500+1) {
			var group rowGroup
			for part := range slices.Chunk(part, int(recordRows)*4+1) {
				group.add(tablefiletest.RecordAs(memory.DefaultAllocator, as, part))
			}
			if err := w.writeGroup(group.rows, group.column); err != nil {
				t.Fatal(err)
			}
			group.clear()
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		fr, err := Open(bytes.NewReader(body.Bytes()), int64(body.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if n, err := fr.Rows(); err != nil || n != int64(len(rows)) {
			t.Fatalf("%d rows, %v, want %d", n, err, len(rows))
		}
		from := 0
		for g := range fr.file.NumRowGroups() {
			group := fr.file.MetaData().RowGroup(g)
			part := rows[from:][:group.NumRows()]
			from += len(part)
			got, err := fr.arrow.ReadRowGroups(context.Background(), []int{0, 1, 2, 3, 4, 5, 6}, []int{g})
			if err != nil {
				t.Fatal(err)
			}
			want := tablefiletest.RecordAs(memory.DefaultAllocator, fuzzTable.Arrow(tablefiletest.ExportID), part)
			for i, c := range fuzzTable.Columns {
				chunks, err := array.Concatenate(got.Column(i).Data().Chunks(), memory.DefaultAllocator)
				if err != nil {
					t.Fatal(err)
				}
				if !array.Equal(want.Column(i), chunks) {
					t.Errorf("row group %d, column %s: %v, want %v", g, c.Name, chunks, want.Column(i))
				}
				chunk, err := group.ColumnChunk(i)
				if err != nil {
					t.Fatal(err)
				}
				stats, err := chunk.Statistics()
				if err != nil {
					t.Fatal(err)
				}
				checkStatistics(t, stats, chunk.HasDictionaryPage(), part, i)
			}
			got.Release()
		}
	})
}

func checkStatistics(t *testing.T, stats metadata.TypedStatistics, dictionary bool, rows []tablefiletest.Row, column int) {
	t.Helper()
	var values []any
	for _, r := range rows {
		switch v := r[column].(type) {
		case nil:
		case time.Time:
			values = append(values, v.UnixMicro())
		default:
			values = append(values, v)
		}
	}
	name := fuzzTable.Columns[column].Name
	if n := int64(len(rows) - len(values)); !stats.HasNullCount() || stats.NullCount() != n {
		t.Errorf("column %s: %d nulls, want %d", name, stats.NullCount(), n)
	}
	if want := len(values) > 0 && !dictionary; stats.HasMinMax() != want {
		t.Errorf("column %s: minimum and maximum: %v, want %v", name, stats.HasMinMax(), want)
	}
	if !stats.HasMinMax() {
		return
	}
	lowest, highest := slices.MinFunc(values, compareValues), slices.MaxFunc(values, compareValues)
	var got [2]any
	switch s := stats.(type) {
	case *metadata.Int32Statistics:
		got = [...]any{s.Min(), s.Max()}
	case *metadata.Int64Statistics:
		got = [...]any{s.Min(), s.Max()}
	case *metadata.Float64Statistics:
		got = [...]any{s.Min(), s.Max()}
	case *metadata.ByteArrayStatistics:
		got = [...]any{string(s.Min()), string(s.Max())}
	}
	if compareValues(got[0], lowest) != 0 || compareValues(got[1], highest) != 0 {
		t.Errorf("column %s: from %v to %v, want %v to %v", name, got[0], got[1], lowest, highest)
	}
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case int32:
		return cmp.Compare(a, b.(int32))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	}
	return strings.Compare(a.(string), b.(string))
}

// A text that is too long for the footer is left out of the statistics: a name may have
// 64 KiB.
func TestStatisticsWithoutLongTexts(t *testing.T) {
	for length, want := range map[int]bool{4096: true, 4097: false} {
		rows := []tablefiletest.Row{{"w", nil, strings.Repeat("x", length), int32(1), nil, nil, nil}}
		rec := tablefiletest.Record(memory.DefaultAllocator, fuzzTable, rows)
		defer rec.Release()
		var body bytes.Buffer
		tw := NewWriter(&body, fuzzTable, tablefiletest.ExportID, RowGroupRows)
		if err := errors.Join(tw.Append(rec), tw.Close()); err != nil {
			t.Fatal(err)
		}
		fr, err := Open(bytes.NewReader(body.Bytes()), int64(body.Len()))
		if err != nil {
			t.Fatal(err)
		}
		chunk, err := fr.file.MetaData().RowGroup(0).ColumnChunk(fuzzTable.Column("text"))
		if err != nil {
			t.Fatal(err)
		}
		stats, err := chunk.Statistics()
		if err != nil || stats.HasMinMax() != want {
			t.Errorf("%d bytes: minimum and maximum: %v, %v, want %v", length, stats.HasMinMax(), err, want)
		}
	}
}

// The expected bytes are worked out by hand.
func TestHybrid(t *testing.T) {
	repeat := func(n int, v uint32) []uint32 { return slices.Repeat([]uint32{v}, n) }
	for _, tc := range []struct {
		values []uint32
		width  int
		want   []byte
	}{
		{nil, 3, nil},
		{[]uint32{0, 1, 2, 3, 4, 5, 6, 7}, 3, []byte{1<<1 | 1, 0x88, 0xc6, 0xfa}}, // the format's own example
		{repeat(8, 5), 3, []byte{8 << 1, 5}},
		{repeat(7, 1), 1, []byte{1<<1 | 1, 0x7f}},
		{repeat(100, 300), 9, []byte{0xc8, 1, 0x2c, 1}},
		{append([]uint32{1}, repeat(15, 0)...), 1, []byte{1<<1 | 1, 1, 8 << 1, 0}}, // a run gives seven to the group
		{append([]uint32{1}, repeat(14, 0)...), 1, []byte{2<<1 | 1, 1, 0}},         // and is none then
		{append(repeat(8, 0), 1), 1, []byte{8 << 1, 0, 1<<1 | 1, 1}},
	} {
		if got := appendHybrid(nil, tc.values, tc.width); !bytes.Equal(got, tc.want) {
			t.Errorf("%v in %d bits: %x, want %x", tc.values, tc.width, got, tc.want)
		}
	}
}

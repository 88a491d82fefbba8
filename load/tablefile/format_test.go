package tablefile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// checkedMemory fails the test if memory was not given back.
func checkedMemory(t *testing.T) memory.Allocator {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	return mem
}

// written returns the file of rows, appended in records of the sizes given in turn.
func written(t *testing.T, mem memory.Allocator, table schema.Table, as *arrow.Schema, rows []tablefiletest.Row, rowGroupRows int64, sizes ...int) []byte {
	t.Helper()
	want := int64(len(rows))
	var body bytes.Buffer
	w := NewWriter(&body, table, tablefiletest.ExportID, rowGroupRows)
	for n := 0; len(rows) > 0; n++ {
		size := min(sizes[n%len(sizes)], len(rows))
		rec := tablefiletest.RecordAs(mem, as, rows[:size])
		err := w.Append(rec)
		rec.Release()
		if err != nil {
			t.Fatal(errors.Join(err, w.Close()))
		}
		rows = rows[size:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Rows() != want || w.Size() != int64(body.Len()) || w.CRC32C() != crc32.Checksum(body.Bytes(), castagnoli) || w.Buffered() != 0 {
		t.Errorf("%d rows, %d bytes, crc32c %08x, %d bytes buffered; want %d rows, the file's size and checksum, nothing buffered", w.Rows(), w.Size(), w.CRC32C(), w.Buffered(), want)
	}
	return body.Bytes()
}

// TestRoundTrip writes every data table, plain and with the columns that repeat as
// dictionaries, and reads it with every reader, value for value.
func TestRoundTrip(t *testing.T) {
	shapes := []struct {
		name         string
		rows         int
		rowGroupRows int64
		sizes        []int // of the records, in turn
		groups       int
	}{
		{"empty", 0, 64, []int{1}, 0},
		{"one row", 1, 64, []int{1}, 1},
		{"one row group", 300, 1000, []int{7, 64, 1}, 1},
		{"row groups of many records", 300, 64, []int{5, 9}, 5},
		{"records of many row groups", 300, 64, []int{300}, 5},
		{"records that end with the row group", 256, 64, []int{32}, 4},
	}
	for _, table := range schema.DataTables() {
		for _, shape := range shapes {
			for as, columns := range map[string]*arrow.Schema{"plain": table.Arrow(tablefiletest.ExportID), "dictionaries": table.Record(tablefiletest.ExportID)} {
				t.Run(table.Name+"/"+shape.name+"/"+as, func(t *testing.T) {
					rows := tablefiletest.Golden(table, shape.rows)
					body := written(t, checkedMemory(t), table, columns, rows, shape.rowGroupRows, shape.sizes...)
					checkGroups(t, body, int64(shape.rows), shape.rowGroupRows, shape.groups)
					for _, r := range readers {
						t.Run(r.Name, func(t *testing.T) { same(t, table, r.Read(t, table, body), rows) })
					}
				})
			}
		}
	}
}

// checkGroups compares the row groups with how many of how many rows there should be.
func checkGroups(t *testing.T, body []byte, rows, groupRows int64, groups int) {
	t.Helper()
	fr, err := Open(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if got := fr.RowGroups(); got != groups {
		t.Errorf("%d row groups, want %d", got, groups)
	}
	for i := range groups {
		want := min(groupRows, rows-int64(i)*groupRows)
		if got := fr.file.RowGroup(i).NumRows(); got != want {
			t.Errorf("row group %d has %d rows, want %d", i, got, want)
		}
	}
}

// TestSlicedRecord appends windows into one big record, as a caller may.
func TestSlicedRecord(t *testing.T) {
	for _, table := range schema.DataTables() {
		t.Run(table.Name, func(t *testing.T) {
			mem := checkedMemory(t)
			rows := tablefiletest.Golden(table, 200)
			whole := tablefiletest.Record(mem, table, rows)
			defer whole.Release()
			var body bytes.Buffer
			w := NewWriter(&body, table, tablefiletest.ExportID, 50)
			var want []tablefiletest.Row
			for _, window := range [][2]int64{{3, 70}, {70, 70}, {1, 2}, {150, 200}, {0, 200}} {
				slice := whole.NewSlice(window[0], window[1])
				if err := w.Append(slice); err != nil {
					t.Fatal(err)
				}
				slice.Release()
				want = append(want, rows[window[0]:window[1]]...)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			for _, r := range readers {
				t.Run(r.Name, func(t *testing.T) { same(t, table, r.Read(t, table, body.Bytes()), want) })
			}
		})
	}
}

// TestTypes checks the columns' types in DuckDB, which are what a query sees.
func TestTypes(t *testing.T) {
	names := map[schema.Type]string{
		schema.String: "VARCHAR", schema.Timestamp: "TIMESTAMP WITH TIME ZONE", schema.Double: "DOUBLE",
		schema.Int32: "INTEGER", schema.Int64: "BIGINT", schema.StringList: "VARCHAR[]",
		schema.StructList: `STRUCT("table" VARCHAR, "key" VARCHAR, "rows" BIGINT, bytes BIGINT, crc32c BIGINT)[]`,
	}
	for _, table := range schema.Tables() {
		t.Run(table.Name, func(t *testing.T) {
			rows := tablefiletest.Golden(table, 10)
			var body []byte
			if table.Name == schema.Exports.Name {
				body = encoded(t, table, rows)
			} else {
				body = written(t, checkedMemory(t), table, table.Arrow(tablefiletest.ExportID), rows, 4, 3)
			}
			path := writeFile(t, body)
			columns := queryDuckDB(t, fmt.Sprintf("select column_name, column_type from (describe select * from read_parquet('%s'))", path), 2)
			if len(columns) != len(table.Columns) {
				t.Fatalf("%d columns, want %d", len(columns), len(table.Columns))
			}
			for i, c := range table.Columns {
				if columns[i][0] != c.Name || columns[i][1] != names[c.Type] {
					t.Errorf("column %d is %v, want %s %s", i, columns[i], c.Name, names[c.Type])
				}
			}
			meta := map[string]string{}
			for _, kv := range queryDuckDB(t, fmt.Sprintf("select decode(key), decode(value) from parquet_kv_metadata('%s')", path), 2) {
				meta[kv[0].(string)] = kv[1].(string)
			}
			want := map[string]string{schema.MetaTable: table.Name, schema.MetaExportID: tablefiletest.ExportID.String(), schema.MetaSchemaVersion: fmt.Sprint(schema.Version)}
			if fmt.Sprint(meta) != fmt.Sprint(want) {
				t.Errorf("metadata %v, want %v", meta, want)
			}
			lists := queryDuckDB(t, fmt.Sprintf("select name from parquet_schema('%s') where repetition_type = 'REPEATED' or name in ('list', 'element')", path), 1)
			for i, l := range lists {
				if want := []string{"list", "element"}[i%2]; l[0] != want {
					t.Errorf("part %d of the lists is named %v, want %s", i, l[0], want)
				}
			}
			codec := "ZSTD"
			if table.Name == schema.Exports.Name {
				codec = "UNCOMPRESSED" // a row
			}
			if isExports := table.Name == schema.Exports.Name; isExports != (len(lists) == 4) {
				t.Errorf("list parts %v", lists)
			}
			for _, bad := range queryDuckDB(t, fmt.Sprintf("select path_in_schema, compression, encodings from parquet_metadata('%s') where compression <> '%s' or encodings like '%%DELTA%%' or (stats_null_count is null and not (type = 'BYTE_ARRAY' and encodings like '%%DICTIONARY%%'))", path, codec), 3) {
				t.Errorf("column chunk %v, want %s, plain with statistics or dictionary", bad, codec)
			}
		})
	}
}

// TestEncode writes records with lists and reads them with every reader.
func TestEncode(t *testing.T) {
	for _, n := range []int{0, 1, 300} {
		rows := tablefiletest.Golden(schema.Exports, n)
		for _, r := range readers {
			t.Run(fmt.Sprintf("%d/%s", n, r.Name), func(t *testing.T) {
				same(t, schema.Exports, r.Read(t, schema.Exports, encoded(t, schema.Exports, rows)), rows)
			})
		}
	}
}

func encoded(t *testing.T, table schema.Table, rows []tablefiletest.Row) []byte {
	t.Helper()
	rec := tablefiletest.Record(memory.DefaultAllocator, table, rows)
	defer rec.Release()
	body, err := Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

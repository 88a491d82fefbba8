package load

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// checkedMemory fails the test if memory was not given back.
func checkedMemory(t *testing.T) memory.Allocator {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	t.Cleanup(func() { mem.AssertSize(t, 0) })
	return mem
}

// spooled writes rows, in records of the sizes given in turn, and returns the finished table.
func spooled(t *testing.T, mem memory.Allocator, table schema.Table, rows []row, rowGroupRows int64, sizes ...int) *Table {
	t.Helper()
	return spooledAs(t, mem, table, table.Arrow(exportA), rows, rowGroupRows, sizes...)
}

func spooledAs(t *testing.T, mem memory.Allocator, table schema.Table, as *arrow.Schema, rows []row, rowGroupRows int64, sizes ...int) *Table {
	t.Helper()
	s, err := newSpool(t.TempDir(), table, exportA, rowGroupRows)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.abort(); err != nil {
			t.Error(err)
		}
	}()
	for n := 0; len(rows) > 0; n++ {
		size := min(sizes[n%len(sizes)], len(rows))
		rec := recordAs(mem, as, rows[:size])
		err := s.append(rec)
		rec.Release()
		if err != nil {
			t.Fatal(err)
		}
		rows = rows[size:]
	}
	tbl, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tbl.Close(); err != nil {
			t.Error(err)
		}
	})
	return tbl
}

func bodyOf(t *testing.T, src store.Source) []byte {
	t.Helper()
	body, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestRoundTrip writes every table that is spooled, its columns as they are and
// those that repeat as dictionaries, and has every reader read it, value for value.
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
			for as, columns := range map[string]*arrow.Schema{"plain": table.Arrow(exportA), "dictionaries": table.Record(exportA)} {
				t.Run(table.Name+"/"+shape.name+"/"+as, func(t *testing.T) {
					rows := goldenRows(table, shape.rows)
					tbl := spooledAs(t, checkedMemory(t), table, columns, rows, shape.rowGroupRows, shape.sizes...)
					if tbl.Rows() != int64(shape.rows) {
						t.Errorf("%d rows, want %d", tbl.Rows(), shape.rows)
					}
					checkGroups(t, tbl, shape.rowGroupRows, shape.groups)
					body := bodyOf(t, tbl)
					if got := crc32.Checksum(body, store.Castagnoli); got != tbl.CRC32C() {
						t.Errorf("crc32c %08x, want %08x", tbl.CRC32C(), got)
					}
					for _, r := range readers {
						t.Run(r.name, func(t *testing.T) { same(t, table, r.read(t, table, body), rows) })
					}
				})
			}
		}
	}
}

// checkGroups compares the row groups with how many of how many rows there should be.
func checkGroups(t *testing.T, tbl *Table, rows int64, groups int) {
	t.Helper()
	fr, err := openParquet(tbl, tbl.Size())
	if err != nil {
		t.Fatal(err)
	}
	if got := fr.ParquetReader().NumRowGroups(); got != groups {
		t.Errorf("%d row groups, want %d", got, groups)
	}
	for i := range groups {
		want := min(rows, tbl.Rows()-int64(i)*rows)
		if got := fr.ParquetReader().RowGroup(i).NumRows(); got != want {
			t.Errorf("row group %d has %d rows, want %d", i, got, want)
		}
	}
}

// TestSlicedRecord appends windows into one big record, as a caller may.
func TestSlicedRecord(t *testing.T) {
	for _, table := range schema.DataTables() {
		t.Run(table.Name, func(t *testing.T) {
			mem := checkedMemory(t)
			rows := goldenRows(table, 200)
			whole := record(mem, table, rows)
			defer whole.Release()
			s, err := newSpool(t.TempDir(), table, exportA, 50)
			if err != nil {
				t.Fatal(err)
			}
			var want []row
			for _, w := range [][2]int64{{3, 70}, {70, 70}, {1, 2}, {150, 200}, {0, 200}} {
				slice := whole.NewSlice(w[0], w[1])
				if err := s.append(slice); err != nil {
					t.Fatal(err)
				}
				slice.Release()
				want = append(want, rows[w[0]:w[1]]...)
			}
			tbl, err := s.finish()
			if err != nil {
				t.Fatal(err)
			}
			defer tbl.Close()
			for _, r := range readers {
				t.Run(r.name, func(t *testing.T) { same(t, table, r.read(t, table, bodyOf(t, tbl)), want) })
			}
		})
	}
}

// TestTypes is what DuckDB takes each column for: it decides what a query sees.
func TestTypes(t *testing.T) {
	names := map[schema.Type]string{
		schema.String: "VARCHAR", schema.Timestamp: "TIMESTAMP WITH TIME ZONE", schema.Double: "DOUBLE",
		schema.Int32: "INTEGER", schema.Int64: "BIGINT", schema.StringList: "VARCHAR[]",
		schema.StructList: `STRUCT("table" VARCHAR, "key" VARCHAR, "rows" BIGINT, bytes BIGINT, crc32c BIGINT)[]`,
	}
	for _, table := range schema.Tables() {
		t.Run(table.Name, func(t *testing.T) {
			body := exportsObject(t, goldenRows(schema.Exports, 10))
			if table.Name != schema.Exports.Name {
				body = bodyOf(t, spooled(t, checkedMemory(t), table, goldenRows(table, 10), 4, 3))
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
			want := map[string]string{schema.MetaTable: table.Name, schema.MetaExportID: exportA.String(), schema.MetaSchemaVersion: fmt.Sprint(schema.Version)}
			if fmt.Sprint(meta) != fmt.Sprint(want) {
				t.Errorf("metadata %v, want %v", meta, want)
			}
			lists := queryDuckDB(t, fmt.Sprintf("select name from parquet_schema('%s') where repetition_type = 'REPEATED' or name in ('list', 'element')", path), 1)
			for i, l := range lists {
				if want := []string{"list", "element"}[i%2]; l[0] != want {
					t.Errorf("part %d of the lists is named %v, want %s", i, l[0], want)
				}
			}
			if isExports := table.Name == schema.Exports.Name; isExports != (len(lists) == 4) {
				t.Errorf("list parts %v", lists)
			}
			for _, bad := range queryDuckDB(t, fmt.Sprintf("select path_in_schema, compression, encodings from parquet_metadata('%s') where compression <> 'ZSTD' or encodings like '%%DELTA%%' or (stats_null_count is null and not (type = 'BYTE_ARRAY' and encodings like '%%DICTIONARY%%'))", path), 3) {
				t.Errorf("column chunk %v, want zstd, plain with statistics or dictionary", bad)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	table := schema.Predictions
	tests := map[string]struct {
		rec  func(mem memory.Allocator) arrow.RecordBatch
		want string
	}{
		"another table's record": {
			func(mem memory.Allocator) arrow.RecordBatch {
				return record(mem, schema.Tags, goldenRows(schema.Tags, 3))
			},
			"the record's columns are not the table's",
		},
		"a column less": {
			func(mem memory.Allocator) arrow.RecordBatch {
				less := table
				less.Columns = less.Columns[:len(less.Columns)-1]
				return record(mem, less, goldenRows(less, 3))
			},
			"the record's columns are not the table's",
		},
		"a null where there is none": {
			func(mem memory.Allocator) arrow.RecordBatch {
				rows := goldenRows(table, 3)
				rows[1][table.Column("probability")] = nil
				return record(mem, table, rows)
			},
			"1 nulls in column probability, which has none",
		},
		"a record that panics": {
			func(mem memory.Allocator) arrow.RecordBatch {
				rec := record(mem, table, goldenRows(table, 3))
				return panickingRecord{rec}
			},
			"arrow or parquet panicked: broken record",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mem := checkedMemory(t)
			dir := t.TempDir()
			s, err := newSpool(dir, table, exportA, rowGroupRows)
			if err != nil {
				t.Fatal(err)
			}
			rec := test.rec(mem)
			defer rec.Release()
			err = s.append(rec)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "table predictions in "+dir) {
				t.Errorf("error %v, want it to say %q, the table and the folder", err, test.want)
			}
			good := record(mem, table, goldenRows(table, 3))
			defer good.Release()
			if err := s.append(good); err == nil {
				t.Error("a good record was taken after a bad one")
			}
			if tbl, err := s.finish(); err == nil {
				t.Error("the spool finished without the bad record", tbl.Close())
			}
			if err := s.abort(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Columns may be dictionaries, but not sometimes.
func TestAppendRefusesOtherColumns(t *testing.T) {
	mem := checkedMemory(t)
	s, err := newSpool(t.TempDir(), schema.Tags, exportA, rowGroupRows)
	if err != nil {
		t.Fatal(err)
	}
	for i, as := range []*arrow.Schema{schema.Tags.Record(exportA), schema.Tags.Arrow(exportA)} {
		rec := recordAs(mem, as, goldenRows(schema.Tags, 3))
		if err := s.append(rec); (err != nil) != (i == 1) {
			t.Errorf("record %d: error %v", i, err)
		}
		rec.Release()
	}
	if err := s.abort(); err != nil {
		t.Error(err)
	}
}

// panickingRecord panics where it is taken.
type panickingRecord struct{ arrow.RecordBatch }

func (panickingRecord) NewSlice(int64, int64) arrow.RecordBatch { panic("broken record") }

// TestSpoolLeavesNothing: no file has a name while it is written, none is left after.
func TestSpoolLeavesNothing(t *testing.T) {
	mem := checkedMemory(t)
	dir := t.TempDir()
	empty := func(when string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) > 0 {
			t.Errorf("%s: the folder holds %v", when, entries)
		}
	}
	for _, finish := range []bool{false, true} {
		s, err := newSpool(dir, schema.Tags, exportA, 10)
		if err != nil {
			t.Fatal(err)
		}
		rec := record(mem, schema.Tags, goldenRows(schema.Tags, 25))
		if err := s.append(rec); err != nil {
			t.Fatal(err)
		}
		empty("while it is written")
		if finish {
			tbl, err := s.finish()
			if err != nil {
				t.Fatal(err)
			}
			empty("finished")
			if err := errors.Join(tbl.Close(), tbl.Close()); err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(s.abort(), s.abort()); err != nil {
			t.Error(err)
		}
		if err := s.append(rec); !errors.Is(err, errClosed) {
			t.Errorf("append after the end: %v", err)
		}
		if _, err := s.finish(); !errors.Is(err, errClosed) {
			t.Errorf("finish after the end: %v", err)
		}
		rec.Release()
		empty("at the end")
	}
}

func TestNewSpoolWithoutFolder(t *testing.T) {
	dir := t.TempDir() + "/missing"
	_, err := newSpool(dir, schema.Tags, exportA, rowGroupRows)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "table tags in "+dir) {
		t.Errorf("error %v, want one that names the table and the folder", err)
	}
}

// TestFinishComparesRows: a file that does not hold what was appended is not finished.
func TestFinishComparesRows(t *testing.T) {
	damage := map[string]struct {
		do   func(s *spool) error
		want string
	}{
		"rows lost":    {func(s *spool) error { s.writer.rows++; return nil }, "26 rows were written, the file has 25"},
		"cut short":    {func(s *spool) error { s.writer.sink.size--; return nil }, "bytes were written, the file has"},
		"other export": {func(s *spool) error { s.exportID = exportB; return nil }, "was written, the file says"},
	}
	for name, d := range damage {
		t.Run(name, func(t *testing.T) {
			mem := checkedMemory(t)
			s, err := newSpool(t.TempDir(), schema.Tags, exportA, 10)
			if err != nil {
				t.Fatal(err)
			}
			rec := record(mem, schema.Tags, goldenRows(schema.Tags, 25))
			defer rec.Release()
			if err := s.append(rec); err != nil {
				t.Fatal(err)
			}
			if err := d.do(s); err != nil {
				t.Fatal(err)
			}
			tbl, err := s.finish()
			if err == nil {
				t.Fatal("finished", tbl.Close())
			}
			if !strings.Contains(err.Error(), d.want) {
				t.Errorf("error %v, want %q", err, d.want)
			}
			if err := s.abort(); err != nil {
				t.Error(err)
			}
		})
	}
}

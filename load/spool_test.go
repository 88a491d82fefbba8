package load

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
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
			s, err := newSpool(dir, table, exportA, tablefile.RowGroupRows)
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
	s, err := newSpool(t.TempDir(), schema.Tags, exportA, tablefile.RowGroupRows)
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
	_, err := newSpool(dir, schema.Tags, exportA, tablefile.RowGroupRows)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "table tags in "+dir) {
		t.Errorf("error %v, want one that names the table and the folder", err)
	}
}

// TestFinishComparesRows: a file that does not hold what was appended is not finished.
func TestFinishComparesRows(t *testing.T) {
	spoolOf := func(t *testing.T) *spool {
		s, err := newSpool(t.TempDir(), schema.Tags, exportA, 10)
		if err != nil {
			t.Fatal(err)
		}
		rec := record(checkedMemory(t), schema.Tags, goldenRows(schema.Tags, 25))
		defer rec.Release()
		if err := s.append(rec); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for name, d := range map[string]struct {
		do   func(s *spool) error
		want string
	}{
		"written by others": {func(s *spool) error { _, err := s.file.WriteAt([]byte{0}, 1<<20); return err }, "bytes were written, the file has"},
		"other export":      {func(s *spool) error { s.exportID = exportB; return nil }, "was written, the file says"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spoolOf(t)
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
	t.Run("rows lost", func(t *testing.T) {
		tbl, err := spoolOf(t).finish()
		if err != nil {
			t.Fatal(err)
		}
		defer tbl.Close()
		tbl.rows++
		if err := tbl.check(); err == nil || !strings.Contains(err.Error(), "26 rows were written, the file has 25") {
			t.Errorf("error %v", err)
		}
	})
}

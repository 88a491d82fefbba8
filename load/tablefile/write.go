package tablefile

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/cvexport/cvexport/schema"
)

// Writer writes the records of one table, which has no lists, as one Parquet file. It
// retains records until they make a row group, and then writes the group column by
// column. After an error every call returns that error.
type Writer struct {
	table  schema.Table
	schema *arrow.Schema
	sink   *sink
	file   *fileWriter // nil until the first row group
	rows   int64
	group  rowGroup // not written yet
	err    error    // the first
}

// rowGroup is the records that will be written as one row group.
type rowGroup struct {
	maxRows int64
	rows    int64
	bytes   int64 // of memory
	records []arrow.RecordBatch
}

// NewWriter returns a Writer of a file to w. Row groups have at most rowGroupRows rows,
// usually [RowGroupRows]. Nothing is written before the first row group is complete.
func NewWriter(w io.Writer, t schema.Table, exportID schema.ID, rowGroupRows int64) *Writer {
	return &Writer{table: t, schema: t.Arrow(exportID), sink: &sink{w: w}, group: rowGroup{maxRows: rowGroupRows}}
}

// Rows returns the number of rows appended.
func (w *Writer) Rows() int64 { return w.rows }

// Size returns the number of bytes written.
func (w *Writer) Size() int64 { return w.sink.size }

// CRC32C returns the checksum of the bytes written.
func (w *Writer) CRC32C() uint32 { return w.sink.crc }

// Buffered returns the bytes of memory that rows take which are not written yet.
func (w *Writer) Buffered() int64 { return w.group.bytes }

// Append adds the rows of rec. It must have the table's columns, those of strings
// either plain or as dictionaries, and the same in each record of a row group.
func (w *Writer) Append(rec arrow.RecordBatch) error {
	return w.do(func() error {
		if err := w.check(rec); err != nil {
			return err
		}
		for from := int64(0); from < rec.NumRows(); {
			n := min(rec.NumRows()-from, w.group.maxRows-w.group.rows)
			w.group.add(rec.NewSlice(from, from+n))
			w.rows += n
			from += n
			if w.group.full() {
				if err := w.writeGroup(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// do calls f unless there was an error before. A failed write outranks the error
// that the libraries make of it.
func (w *Writer) do(f func() error) error {
	if w.err == nil {
		err := Guard(f)
		w.err = cmp.Or(w.sink.err, err)
	}
	return w.err
}

// check compares the columns and finds nulls where none may be: there the file would
// get whatever the buffer holds.
func (w *Writer) check(rec arrow.RecordBatch) error {
	if err := w.checkColumns(rec.Schema()); err != nil {
		return err
	}
	for i, f := range w.schema.Fields() {
		if n := rec.Column(i).NullN(); n > 0 && !f.Nullable {
			return fmt.Errorf("%d nulls in column %s, which has none", n, f.Name)
		}
	}
	return nil
}

func (w *Writer) checkColumns(s *arrow.Schema) error {
	same := s.NumFields() == w.schema.NumFields()
	for i := 0; same && i < s.NumFields(); i++ {
		got, want := s.Field(i), w.schema.Field(i)
		if dictionary, ok := got.Type.(*arrow.DictionaryType); ok {
			got.Type = dictionary.ValueType
		}
		same = got.Equal(want)
	}
	if first := w.group.records; same && len(first) > 0 {
		same = s.Equal(first[0].Schema())
	}
	if !same {
		return fmt.Errorf("the record's columns are not the table's: %s, want %s", Columns(s), Columns(w.schema))
	}
	return nil
}

func (g *rowGroup) add(rec arrow.RecordBatch) {
	g.records = append(g.records, rec)
	g.rows += rec.NumRows()
	for _, column := range rec.Columns() {
		g.bytes += int64(column.Data().SizeInBytes())
	}
}

func (g *rowGroup) full() bool { return g.rows >= g.maxRows || g.bytes >= MaxBuffered }

// rarelyRepeats reports whether the dictionaries of a column hold a value for every
// fourth row or more. zstd makes less of plain values then than of a dictionary.
func (g *rowGroup) rarelyRepeats(column int) bool {
	values := int64(0)
	for _, rec := range g.records {
		d, ok := rec.Column(column).(*array.Dictionary)
		if !ok {
			return false
		}
		values += int64(d.Dictionary().Len())
	}
	return values*4 >= g.rows
}

func (g *rowGroup) clear() {
	for _, rec := range g.records {
		rec.Release()
	}
	clear(g.records)
	g.records, g.rows, g.bytes = g.records[:0], 0, 0
}

// column returns a column's array of each record.
func (g *rowGroup) column(i int) []arrow.Array {
	arrays := make([]arrow.Array, len(g.records))
	for k, rec := range g.records {
		arrays[k] = rec.Column(i)
	}
	return arrays
}

// Flush writes the buffered rows as a row group, however few they are.
func (w *Writer) Flush() error {
	if w.group.rows == 0 {
		return w.err
	}
	return w.do(w.writeGroup)
}

func (w *Writer) writeGroup() error {
	defer w.group.clear()
	if err := w.begin(); err != nil {
		return err
	}
	return w.file.writeGroup(w.group.rows, w.group.column)
}

// begin begins the file, unless it has begun. The first row group decides which
// columns have a dictionary.
func (w *Writer) begin() (err error) {
	if w.file == nil {
		w.file, err = newFileWriter(w.sink, w.schema, properties(w.table, w.group.rarelyRepeats))
	}
	return err
}

// Close writes the buffered rows and the footer. It does not close the underlying
// writer. After an error it releases the rows.
func (w *Writer) Close() error {
	if err := w.Flush(); err != nil {
		w.Discard()
		return err
	}
	return w.do(func() error {
		if err := w.begin(); err != nil { // a file without rows
			return err
		}
		return w.file.close()
	})
}

// Discard releases the buffered rows. The file stays incomplete.
func (w *Writer) Discard() {
	w.err = cmp.Or(w.err, errDiscarded)
	w.group.clear()
}

var errDiscarded = errors.New("the file was discarded")

// sink hides the Close method of the underlying writer from the Parquet library, and
// counts and sums the bytes. After an error it writes nothing more.
type sink struct {
	w    io.Writer
	size int64
	crc  uint32
	err  error
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	var n int
	if n, s.err = s.w.Write(p); s.err == nil && n < len(p) {
		s.err = io.ErrShortWrite
	}
	s.size += int64(n)
	s.crc = crc32.Update(s.crc, castagnoli, p[:n])
	return n, s.err
}

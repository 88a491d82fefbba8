package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/schema"
)

// tableWriter turns the records of one table into one Parquet file. It keeps
// records until they make a row group, and then writes column after column: the
// pages go to the file as they are made, and a column whose values repeat has
// one dictionary, put together from those of the records, so that no value is
// looked up a second time.
type tableWriter struct {
	table   schema.Table
	schema  *arrow.Schema
	mem     memory.Allocator
	sink    *sink
	writer  *pqarrow.FileWriter // nil until the first row group
	rows    int64
	waiting rowGroup
	err     error // what went wrong first; it stays wrong
}

// rowGroup are the records that wait for being written as one.
type rowGroup struct {
	most    int64 // rows
	rows    int64
	bytes   int64 // of memory
	records []arrow.RecordBatch
}

func newTableWriter(w io.Writer, t schema.Table, exportID schema.ID, mem memory.Allocator, rowGroupRows int64) *tableWriter {
	return &tableWriter{table: t, schema: t.Arrow(exportID), mem: mem, sink: &sink{w: w}, waiting: rowGroup{most: rowGroupRows}}
}

// open begins the file. Its first row group tells which columns get a dictionary.
func (tw *tableWriter) open() (err error) {
	// The Arrow schema is not stored a second time, in Arrow's own form:
	// Parquet's types say all of it, and other readers trip over it.
	tw.writer, err = pqarrow.NewFileWriter(tw.schema, tw.sink,
		writerProperties(tw.table, tw.mem, tw.waiting.seldomRepeats),
		pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(tw.mem)))
	return cmp.Or(err, tw.sink.err)
}

// append takes the rows of rec, which must have the table's columns, as they are
// or as dictionaries, and always the same.
func (tw *tableWriter) append(rec arrow.RecordBatch) error {
	if tw.err != nil {
		return tw.err
	}
	tw.err = guard(func() error {
		if err := tw.check(rec); err != nil {
			return err
		}
		for from := int64(0); from < rec.NumRows(); {
			n := min(rec.NumRows()-from, tw.waiting.most-tw.waiting.rows)
			tw.waiting.add(rec.NewSlice(from, from+n))
			tw.rows += n
			from += n
			if tw.waiting.full() {
				if err := tw.writeGroup(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return tw.err
}

// check finds what the Parquet writer would take and get wrong: it writes a
// null in a column that has none as whatever the buffer holds.
func (tw *tableWriter) check(rec arrow.RecordBatch) error {
	if err := tw.checkColumns(rec.Schema()); err != nil {
		return err
	}
	for i, f := range tw.schema.Fields() {
		if n := rec.Column(i).NullN(); n > 0 && !f.Nullable {
			return fmt.Errorf("%d nulls in column %s, which has none", n, f.Name)
		}
	}
	return nil
}

func (tw *tableWriter) checkColumns(s *arrow.Schema) error {
	same := s.NumFields() == tw.schema.NumFields()
	for i := 0; same && i < s.NumFields(); i++ {
		got, want := s.Field(i), tw.schema.Field(i)
		if dictionary, ok := got.Type.(*arrow.DictionaryType); ok {
			got.Type = dictionary.ValueType
		}
		same = got.Equal(want)
	}
	if first := tw.waiting.records; same && len(first) > 0 {
		same = s.Equal(first[0].Schema())
	}
	if !same {
		return fmt.Errorf("the record's columns are not the table's: %s, want %s", columnList(s), columnList(tw.schema))
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

func (g *rowGroup) full() bool { return g.rows >= g.most || g.bytes >= spoolBytes }

// seldomRepeats reports whether a column has a word for every fourth row or more:
// zstd makes less of those than a dictionary and its indices.
func (g *rowGroup) seldomRepeats(column int) bool {
	words := int64(0)
	for _, rec := range g.records {
		d, ok := rec.Column(column).(*array.Dictionary)
		if !ok {
			return false
		}
		words += int64(d.Dictionary().Len())
	}
	return words*4 >= g.rows
}

func (g *rowGroup) clear() {
	for _, rec := range g.records {
		rec.Release()
	}
	clear(g.records)
	g.records, g.rows, g.bytes = g.records[:0], 0, 0
}

// column is a column of all records.
func (g *rowGroup) column(i int) []arrow.Array {
	chunks := make([]arrow.Array, len(g.records))
	for k, rec := range g.records {
		chunks[k] = rec.Column(i)
	}
	return chunks
}

// flush writes what waits, be it less than a row group should have.
func (tw *tableWriter) flush() error {
	if tw.err == nil && tw.waiting.rows > 0 {
		tw.err = guard(tw.writeGroup)
	}
	return tw.err
}

// writeGroup writes what waits as a row group.
func (tw *tableWriter) writeGroup() error {
	defer tw.waiting.clear()
	if tw.writer == nil {
		if err := tw.open(); err != nil {
			return err
		}
	}
	if err := tw.writer.NewRowGroupChecked(); err != nil {
		return err
	}
	for i := range tw.schema.NumFields() {
		if err := tw.writeColumn(tw.waiting.column(i)); err != nil {
			return err
		}
		if tw.sink.err != nil {
			return tw.sink.err
		}
	}
	return nil
}

func (tw *tableWriter) writeColumn(chunks []arrow.Array) error {
	kind := chunks[0].DataType()
	if kind.ID() != arrow.DICTIONARY {
		column := arrow.NewChunked(kind, chunks)
		defer column.Release()
		return tw.writer.WriteColumnChunked(column, 0, tw.waiting.rows)
	}
	// The writer takes one dictionary a row group, and else looks every value up.
	whole, err := array.Concatenate(chunks, tw.mem)
	if err != nil {
		return err
	}
	defer whole.Release()
	return tw.writer.WriteColumnData(whole)
}

// close writes the footer. After an error it discards what there is.
func (tw *tableWriter) close() error {
	if err := tw.flush(); err != nil {
		tw.discard()
		return err
	}
	tw.err = guard(func() error {
		if tw.writer == nil { // there are no rows
			if err := tw.open(); err != nil {
				return err
			}
		}
		return tw.writer.Close()
	})
	if tw.sink.err != nil {
		tw.err = tw.sink.err
	}
	return tw.err
}

// discard makes the Parquet writer give its memory back, which it does when
// it writes out what it holds: here, to nowhere. How that ends tells nothing.
func (tw *tableWriter) discard() {
	tw.sink.err = errDiscarded
	tw.waiting.clear()
	if tw.writer != nil {
		_ = guard(tw.writer.Close)
	}
}

var errDiscarded = errors.New("the file was discarded")

func columnList(s *arrow.Schema) string {
	text := "("
	for i, f := range s.Fields() {
		if i > 0 {
			text += ", "
		}
		text += f.Name + " " + f.Type.String()
		if f.Nullable {
			text += " null"
		}
	}
	return text + ")"
}

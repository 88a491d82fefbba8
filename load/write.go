package load

import (
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/cvexport/cvexport/schema"
)

// tableWriter turns the records of one table into one Parquet file. It keeps
// records until they make a row group, which is written a column after the other.
type tableWriter struct {
	table   schema.Table
	schema  *arrow.Schema
	sink    *sink
	file    *fileWriter // nil until the first row group
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

func newTableWriter(w io.Writer, t schema.Table, exportID schema.ID, rowGroupRows int64) *tableWriter {
	return &tableWriter{table: t, schema: t.Arrow(exportID), sink: &sink{w: w}, waiting: rowGroup{most: rowGroupRows}}
}

// open begins the file. Its first row group tells which columns get a dictionary.
func (tw *tableWriter) open() (err error) {
	tw.file, err = newFileWriter(tw.sink, tw.schema, writerProperties(tw.table, tw.waiting.seldomRepeats))
	return err
}

// append takes the rows of rec, which must have the table's columns, as they are
// or as dictionaries, and always the same.
func (tw *tableWriter) append(rec arrow.RecordBatch) error {
	return tw.do(func() error {
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
}

// do runs f unless something went wrong before. That a write failed counts for more
// than what became of it in the libraries.
func (tw *tableWriter) do(f func() error) error {
	if tw.err == nil {
		err := guard(f)
		tw.err = cmp.Or(tw.sink.err, err)
	}
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
	if tw.waiting.rows == 0 {
		return tw.err
	}
	return tw.do(tw.writeGroup)
}

// writeGroup writes what waits as a row group.
func (tw *tableWriter) writeGroup() error {
	defer tw.waiting.clear()
	if tw.file == nil {
		if err := tw.open(); err != nil {
			return err
		}
	}
	return tw.file.writeGroup(tw.waiting.rows, tw.waiting.column)
}

// close writes the footer. After an error it discards what there is.
func (tw *tableWriter) close() error {
	if err := tw.flush(); err != nil {
		tw.discard()
		return err
	}
	return tw.do(func() error {
		if tw.file == nil { // there are no rows
			if err := tw.open(); err != nil {
				return err
			}
		}
		return tw.file.close()
	})
}

// discard drops what waits.
func (tw *tableWriter) discard() {
	tw.err = cmp.Or(tw.err, errDiscarded)
	tw.waiting.clear()
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

package load

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/schema"
)

// RowGroupRows is how many rows a row group holds, whatever the size of the
// records appended. BigQuery wants row groups of at least 16 MiB, DuckDB at
// least 122,880 rows to keep its threads busy; the tables are narrow, so the
// first asks for more. Measured on a million predictions (BenchmarkSpool,
// BenchmarkScan, medians of 6 on two cores), a file is of the same size and
// written as fast at any of 122,880, 250,000, 500,000 and 1,000,000 rows, and
// DuckDB scans it in 15.8, 17.4, 17.0 and 26.5 ms: the last has less than a row
// group a core. A spool holds one row group, compressed: at ten times 10,240
// images an export takes 167 MiB at 250,000 rows, 186 MiB at 500,000 (make bench).
const RowGroupRows = 250_000

// zstdLevel is zstd's own default: what a higher level saves is little next
// to what dictionaries already took.
const zstdLevel = 3

// dataPageSize is before compression. Every column of a table being written has
// such a page, and zstd a window of it: against 1 MiB this saves 20 MiB, and the
// file grows by a thousandth.
const dataPageSize = 256 << 10

// writerProperties are chosen for the oldest reader rather than the smallest
// file: version 1 data pages, plain and dictionary encodings, no page index.
func writerProperties(t schema.Table, mem memory.Allocator, rowGroupRows int64) *parquet.WriterProperties {
	options := []parquet.WriterProperty{
		parquet.WithAllocator(mem),
		parquet.WithVersion(parquet.V2_6), // the format's; it names microseconds and UTC
		parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithDataPageSize(dataPageSize),
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithCompressionLevel(zstdLevel),
		parquet.WithStats(true),
		parquet.WithPageIndexEnabled(false),
		parquet.WithMaxRowGroupLength(rowGroupRows),
		parquet.WithDictionaryDefault(false),
	}
	for _, c := range t.Columns {
		if c.Repeats {
			options = append(options, parquet.WithDictionaryFor(c.Name, true))
		}
	}
	return parquet.NewWriterProperties(options...)
}

// sink is what a Parquet writer writes to. It counts the bytes and sums them
// on their way. It has no Close, which the writer would call.
//
// The Parquet writer is never told of a failed write: what it does then is to
// panic, or to leave buffers behind. The sink keeps the first error, drops
// what follows, and is asked after every call.
type sink struct {
	w    io.Writer
	size int64
	crc  uint32
	err  error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err == nil {
		var n int
		if n, s.err = s.w.Write(p); s.err == nil && n < len(p) {
			s.err = io.ErrShortWrite
		}
		s.size += int64(n)
		s.crc = crc32.Update(s.crc, castagnoli, p[:n])
	}
	return len(p), nil
}

// tableWriter turns the records of one table into one Parquet file.
type tableWriter struct {
	schema *arrow.Schema
	sink   *sink
	writer *pqarrow.FileWriter
	rows   int64
	err    error // what went wrong first; it stays wrong
}

func newTableWriter(w io.Writer, t schema.Table, exportID schema.ID, mem memory.Allocator, rowGroupRows int64) (*tableWriter, error) {
	tw := &tableWriter{schema: t.Arrow(exportID), sink: &sink{w: w}}
	err := guard(func() (err error) {
		// The Arrow schema is not stored a second time, in Arrow's own form:
		// Parquet's types say all of it, and other readers trip over it.
		tw.writer, err = pqarrow.NewFileWriter(tw.schema, tw.sink,
			writerProperties(t, mem, rowGroupRows),
			pqarrow.NewArrowWriterProperties(pqarrow.WithAllocator(mem)))
		return err
	})
	if err == nil {
		err = tw.sink.err
	}
	if err != nil {
		return nil, err
	}
	return tw, nil
}

// append writes the rows of rec, which must have the table's columns.
func (tw *tableWriter) append(rec arrow.RecordBatch) error {
	if tw.err != nil {
		return tw.err
	}
	if tw.err = tw.check(rec); tw.err != nil || rec.NumRows() == 0 {
		return tw.err
	}
	tw.err = guard(func() error { return tw.writer.WriteBuffered(rec) })
	if tw.sink.err != nil {
		tw.err = tw.sink.err
	}
	if tw.err == nil {
		tw.rows += rec.NumRows()
	}
	return tw.err
}

// check finds what the Parquet writer would take and get wrong: it writes a
// null in a column that has none as whatever the buffer holds.
func (tw *tableWriter) check(rec arrow.RecordBatch) error {
	if !rec.Schema().Equal(tw.schema) {
		return fmt.Errorf("the record's columns are not the table's: %s, want %s", columnList(rec.Schema()), columnList(tw.schema))
	}
	for i, f := range tw.schema.Fields() {
		if n := rec.Column(i).NullN(); n > 0 && !f.Nullable {
			return fmt.Errorf("%d nulls in column %s, which has none", n, f.Name)
		}
	}
	return nil
}

// close writes the footer. After an error it discards what there is.
func (tw *tableWriter) close() error {
	if tw.err != nil {
		tw.discard()
		return tw.err
	}
	tw.err = guard(tw.writer.Close)
	if tw.sink.err != nil {
		tw.err = tw.sink.err
	}
	return tw.err
}

// discard makes the Parquet writer give its memory back, which it does when
// it writes out what it holds: here, to nowhere. How that ends tells nothing.
func (tw *tableWriter) discard() {
	tw.sink.err = errDiscarded
	_ = guard(tw.writer.Close)
}

var errDiscarded = errors.New("the file was discarded")

// openParquet reads the footer of a Parquet file of size bytes.
func openParquet(r io.ReaderAt, size int64) (*pqarrow.FileReader, error) {
	var fr *pqarrow.FileReader
	err := guard(func() error {
		props := parquet.NewReaderProperties(memory.DefaultAllocator)
		props.BufferedStreamEnabled = true // a page at a time, not a whole column
		pf, err := file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(props))
		if err != nil {
			return err
		}
		fr, err = pqarrow.NewFileReader(pf, pqarrow.ArrowReadProperties{BatchSize: readBatchRows}, memory.DefaultAllocator)
		return err
	})
	return fr, err
}

// readBatchRows is how many rows are in memory at once when a file is read.
const readBatchRows = 32 << 10

// countRows adds up the row groups and compares the sum with the footer's.
func countRows(fr *pqarrow.FileReader) (int64, error) {
	pf := fr.ParquetReader()
	var sum int64
	for i := range pf.NumRowGroups() {
		sum += pf.MetaData().RowGroup(i).NumRows()
	}
	if n := pf.NumRows(); n != sum {
		return 0, fmt.Errorf("the footer says %d rows, the row groups hold %d", n, sum)
	}
	return sum, nil
}

// metadataValue returns a value of the file's key-value metadata, "" when there is none.
func metadataValue(fr *pqarrow.FileReader, key string) string {
	if v := fr.ParquetReader().MetaData().KeyValueMetadata().FindValue(key); v != nil {
		return *v
	}
	return ""
}

// guard runs f at the boundary to Arrow and Parquet, which panic where other
// packages return an error. A panic becomes an error.
func guard(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error:
			err = fmt.Errorf("arrow or parquet panicked: %w", p)
		default:
			err = fmt.Errorf("arrow or parquet panicked: %v", p)
		}
	}()
	return f()
}

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

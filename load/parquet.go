package load

import (
	"fmt"
	"hash/crc32"
	"io"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// rowGroupRows is how many rows a row group holds at most, whatever the size of the
// records appended: what DuckDB writes itself. At 64,000, 122,880 and 250,000 rows
// it takes 0.83, 0.92 and 0.97 of the time it needs for its own files to aggregate
// 400,000 predictions, 0.61, 0.81 and 1.30 to find those of one image, 0.80, 0.88
// and 0.86 for those of one tag, and an export takes 70, 74 and 82 MiB. BigQuery
// recommends row groups of 16 MiB, which these narrow tables have at 400,000 rows.
const rowGroupRows = 122_880

// zstdLevel is the fastest. What dictionaries leave is doubles, in which no level
// finds anything to repeat: at zstd's default, 3, the files are 0.1 % smaller, and
// compressing takes half as long again.
const zstdLevel = 1

// dataPageSize is before compression. Every column of a table being written has
// such a page, and zstd a window of it: against 1 MiB this saves 20 MiB, and the
// file grows by a thousandth.
const dataPageSize = 256 << 10

// writerProperties are chosen for the oldest reader rather than the smallest
// file: version 1 data pages, plain and dictionary encodings, no page index.
func writerProperties(t schema.Table, plain func(column int) bool) *parquet.WriterProperties {
	options := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_6), // the format's; it names microseconds and UTC
		parquet.WithDataPageVersion(parquet.DataPageV1),
		parquet.WithDataPageSize(dataPageSize),
		parquet.WithCompression(compress.Codecs.Zstd),
		parquet.WithCompressionLevel(zstdLevel),
		parquet.WithStats(true),
		parquet.WithPageIndexEnabled(false),
		parquet.WithDictionaryDefault(false),
	}
	for i, c := range t.Columns {
		if c.Repeats && c.Type == schema.String && !plain(i) {
			options = append(options, parquet.WithDictionaryFor(c.Name, true))
		}
	}
	return parquet.NewWriterProperties(options...)
}

// sink is what a file is written to. It counts the bytes and sums them on their
// way. After an error it takes nothing more.
type sink struct {
	w    io.Writer
	size int64
	crc  uint32
	err  error
}

func (s *sink) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	var n int
	if n, s.err = s.w.Write(p); s.err == nil && n < len(p) {
		s.err = io.ErrShortWrite
	}
	s.size += int64(n)
	s.crc = crc32.Update(s.crc, store.Castagnoli, p[:n])
	return n, s.err
}

// Tell returns how many bytes were written.
func (s *sink) Tell() int64 { return s.size }

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

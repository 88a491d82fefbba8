package tablefile

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// readBatchRows is how many rows of a file are in memory at once.
const readBatchRows = 32 << 10

// Reader reads a Parquet file that [Writer] or [Encode] wrote. The file may be damaged, or
// made to take gigabytes of memory: call the methods within [Guard]. What is over the
// bounds (see bounds.go) is an error.
type Reader struct {
	source io.ReaderAt
	size   int64
	file   *file.Reader
	arrow  *pqarrow.FileReader
}

// Open reads the footer of a file of size bytes.
func Open(r io.ReaderAt, size int64) (*Reader, error) {
	fr := Reader{source: r, size: size}
	err := Guard(func() (err error) {
		if _, err := CheckFooter(r, size); err != nil {
			return err
		}
		memory := bounded{memory.DefaultAllocator}
		props := parquet.NewReaderProperties(memory)
		props.BufferedStreamEnabled = true // a page at a time, not a whole column
		props.MaxCompressedPageSize, props.MaxUncompressedPageSize = maxPage, maxPage
		if fr.file, err = file.NewParquetReader(io.NewSectionReader(r, 0, size), file.WithReadProps(props)); err != nil {
			return err
		}
		fr.arrow, err = pqarrow.NewFileReader(fr.file, pqarrow.ArrowReadProperties{BatchSize: readBatchRows}, memory)
		return err
	})
	return &fr, err
}

// Rows returns the number of rows in the footer, which must be the sum of the row groups.
func (r *Reader) Rows() (int64, error) {
	var sum int64
	for i := range r.file.NumRowGroups() {
		sum += r.file.MetaData().RowGroup(i).NumRows()
	}
	if n := r.file.NumRows(); n != sum {
		return 0, fmt.Errorf("the footer says %d rows, the row groups hold %d", n, sum)
	}
	return sum, nil
}

// RowGroups returns the number of row groups.
func (r *Reader) RowGroups() int { return r.file.NumRowGroups() }

// Metadata returns a value of the file's key-value metadata, "" if there is none.
func (r *Reader) Metadata(key string) string {
	if v := r.file.MetaData().KeyValueMetadata().FindValue(key); v != nil {
		return *v
	}
	return ""
}

// Schema returns the columns.
func (r *Reader) Schema() (*arrow.Schema, error) { return r.arrow.Schema() }

// Records calls f with the rows of some columns, a record at a time. Columns that the
// file does not have are left out. A record is valid until f returns.
func (r *Reader) Records(ctx context.Context, columns []string, f func(arrow.RecordBatch) error) error {
	if r.file.NumRowGroups() == 0 {
		return nil
	}
	var indices []int
	all := r.file.MetaData().Schema
	for i := range all.NumColumns() {
		if slices.Contains(columns, all.Column(i).Path()) {
			indices = append(indices, i)
		}
	}
	for _, at := range indices {
		for i := range r.file.NumRowGroups() {
			if err := r.checkPages(i, at); err != nil {
				return fmt.Errorf("column %s: %w", all.Column(at).Path(), err)
			}
		}
	}
	rr, err := r.arrow.GetRecordReader(ctx, indices, nil)
	if err != nil {
		return err
	}
	defer rr.Release()
	for rr.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(rr.RecordBatch()); err != nil {
			return err
		}
	}
	return rr.Err()
}

// checkPages checks the pages of a leaf column in a row group.
func (r *Reader) checkPages(group, column int) error {
	chunk, err := r.file.MetaData().RowGroup(group).ColumnChunk(column)
	if err != nil {
		return err
	}
	return checkPages(r.source, r.size, chunk)
}

// Has reports whether there is a leaf column of this path.
func (r *Reader) Has(path string) bool { return r.file.MetaData().Schema.ColumnIndexByName(path) >= 0 }

// Values returns the values of a leaf column that are not null, as string, float64,
// int32 or int64. It reads without pqarrow, which reads structs in goroutines of its
// own, where a panic over a damaged file would end the program.
func (r *Reader) Values(path string) ([]any, error) {
	at := r.file.MetaData().Schema.ColumnIndexByName(path)
	if at < 0 {
		return nil, fmt.Errorf("no part named %s", path)
	}
	var all values
	for i := range r.file.NumRowGroups() {
		if err := r.checkPages(i, at); err != nil {
			return nil, err
		}
		column, err := r.file.RowGroup(i).Column(at)
		if err != nil {
			return nil, err
		}
		switch c := column.(type) {
		case *file.ByteArrayColumnChunkReader:
			err = appendValues(&all, c.ReadBatch, func(b parquet.ByteArray) any { all.bytes += len(b); return string(b) })
		case *file.Float64ColumnChunkReader:
			err = appendValues(&all, c.ReadBatch, func(f float64) any { return f })
		case *file.Int32ColumnChunkReader:
			err = appendValues(&all, c.ReadBatch, func(n int32) any { return n })
		case *file.Int64ColumnChunkReader:
			err = appendValues(&all, c.ReadBatch, func(n int64) any { return n })
		default:
			err = fmt.Errorf("it is stored as %s", column.Type())
		}
		if err = cmp.Or(err, column.Err()); err != nil { // a batch ends at a page that cannot be read
			return nil, err
		}
	}
	return all.list, nil
}

// values are those of a column, and how many bytes the texts among them have.
type values struct {
	list  []any
	bytes int
}

func appendValues[T any](all *values, read func(n int64, values []T, definition, repetition []int16) (int64, int, error), convert func(T) any) error {
	const batch = 4 // of which each text may have a page
	var (
		found                  [batch]T
		definition, repetition [batch]int16
	)
	for {
		rows, n, err := read(batch, found[:], definition[:], repetition[:])
		if err != nil || rows == 0 {
			return err
		}
		for _, v := range found[:n] {
			all.list = append(all.list, convert(v))
			if len(all.list) > maxRecordValues || all.bytes > maxRecordBytes {
				return fmt.Errorf("it has more than %d values, or %d bytes of text", maxRecordValues, maxRecordBytes)
			}
		}
	}
}

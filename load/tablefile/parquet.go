package tablefile

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/schema"
)

// RowGroupRows is the usual maximum of rows in a row group, and DuckDB's own. At
// 64,000, 122,880 and 250,000 rows, DuckDB needs 0.83, 0.92 and 0.97 of the time it
// needs for its own files to aggregate 400,000 predictions, 0.61, 0.81 and 1.30 to
// find those of one image, 0.80, 0.88 and 0.86 for those of one tag, and an export
// takes 70, 74 and 82 MiB. BigQuery recommends row groups of 16 MiB, which these
// narrow tables reach at 400,000 rows.
const RowGroupRows = 122_880

// MaxBuffered is how many bytes of memory the rows of a row group take at most.
const MaxBuffered = 8 << 20

// zstdLevel is the fastest. What dictionaries leave is mostly doubles, in which no
// level finds repetitions: zstd's default, 3, makes files 0.1 % smaller and takes
// half as long again.
const zstdLevel = 1

// dataPageSize is the size of a page before compression, and of zstd's window. Against
// pages of 1 MiB it saves 20 MiB of memory and adds a thousandth to the file.
const dataPageSize = 256 << 10

// properties are chosen for the oldest reader rather than the smallest file: version
// 1 data pages, plain and dictionary encodings, no page index. A column gets a
// dictionary if the schema says that its values repeat, unless plain reports otherwise.
func properties(t schema.Table, plain func(column int) bool) *parquet.WriterProperties {
	options := []parquet.WriterProperty{
		parquet.WithVersion(parquet.V2_6), // the format's; it has microseconds and UTC
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

// Encode returns the Parquet file of one record of a table that may have lists, which
// [Writer] does not take. It is written by Arrow's own writer, uncompressed: it is a row
// of some kilobytes, and Arrow's encoders keep windows of many times that. The Arrow
// schema is not stored as well: Parquet's types say all of it, and other readers trip
// over it.
func Encode(rec arrow.RecordBatch) ([]byte, error) {
	var body bytes.Buffer
	err := Guard(func() error {
		props := parquet.NewWriterProperties(parquet.WithVersion(parquet.V2_6), parquet.WithDataPageVersion(parquet.DataPageV1),
			parquet.WithDictionaryDefault(false), parquet.WithStats(true))
		w, err := pqarrow.NewFileWriter(rec.Schema(), &body, props, pqarrow.DefaultWriterProps())
		if err != nil {
			return err
		}
		return errors.Join(w.Write(rec), w.Close())
	})
	return body.Bytes(), err
}

// Guard calls f, which uses Arrow or Parquet. These panic where other packages return
// an error; Guard returns the panic as an error.
func Guard(f func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case overBound:
			err = p
		case error:
			err = fmt.Errorf("arrow or parquet panicked: %w", p)
		default:
			err = fmt.Errorf("arrow or parquet panicked: %v", p)
		}
	}()
	return f()
}

// Columns lists the columns of s, for messages.
func Columns(s *arrow.Schema) string {
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

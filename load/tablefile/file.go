package tablefile

import (
	"encoding/binary"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

const magic = "PAR1"

// fileWriter writes a Parquet file row group by row group. Statistics and footer are
// Arrow's; the pages are made here (pages.go).
type fileWriter struct {
	sink   *sink
	props  *parquet.WriterProperties
	footer *metadata.FileMetaDataBuilder
	groups int16
	pages  pageWriter
}

// newFileWriter begins a file.
func newFileWriter(s *sink, columns *arrow.Schema, props *parquet.WriterProperties) (*fileWriter, error) {
	if endian.IsBigEndian {
		return nil, errors.New("values are written as they are in memory, and Parquet is little-endian: use another machine")
	}
	types, err := pqarrow.ToParquet(columns, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	encoder, err := pageEncoder()
	if err != nil {
		return nil, err
	}
	values := metadata.NewKeyValueMetadata()
	for i, key := range columns.Metadata().Keys() {
		if err := values.Append(key, columns.Metadata().Values()[i]); err != nil {
			return nil, err
		}
	}
	_, err = s.Write([]byte(magic))
	return &fileWriter{sink: s, props: props, footer: metadata.NewFileMetadataBuilder(types, props, values), pages: newPageWriter(s, encoder)}, err
}

// writeGroup writes a row group. column returns the arrays of a column, which have so
// many rows together.
func (f *fileWriter) writeGroup(rows int64, column func(i int) []arrow.Array) error {
	group := f.footer.AppendRowGroup()
	for i := range group.NumColumns() {
		chunk := group.NextColumnChunk()
		path := chunk.Descr().Path()
		dictionary := f.props.DictionaryEnabledFor(path)
		stats, err := f.pages.writeChunk(column(i), chunk.Descr().MaxDefinitionLevel() > 0, dictionary)
		if err != nil {
			return err
		}
		stats.ApplyStatSizeLimits(int(f.props.MaxStatsSizeFor(path)))
		chunk.SetStats(stats)
		if err := chunk.Finish(f.pages.info, dictionary, false, f.pages.encodings); err != nil {
			return err
		}
	}
	group.SetNumRows(int(rows))
	f.groups++
	return group.Finish(0, f.groups-1)
}

// close writes the footer.
func (f *fileWriter) close() error {
	footer, err := f.footer.Finish()
	if err != nil {
		return err
	}
	size, err := footer.WriteTo(f.sink, nil)
	if err != nil {
		return err
	}
	_, err = f.sink.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(size)), magic...))
	return err
}

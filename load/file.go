package load

import (
	"encoding/binary"
	"errors"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

const parquetMagic = "PAR1"

// fileWriter writes a Parquet file of a table without lists, a row group after the
// other. Headers, statistics and footer are Arrow's; what the values of a page look
// like is written here (pages.go), because Arrow's own writer copies each of them
// more than once, through buffers that it drops.
type fileWriter struct {
	sink   *sink
	props  *parquet.WriterProperties
	footer *metadata.FileMetaDataBuilder
	groups int16
	pages  pageBuilder
}

// newFileWriter begins a file.
func newFileWriter(s *sink, columns *arrow.Schema, props *parquet.WriterProperties) (*fileWriter, error) {
	if endian.IsBigEndian {
		return nil, errors.New("values are written as they are in memory, which Parquet has the other way around than this machine")
	}
	types, err := pqarrow.ToParquet(columns, props, pqarrow.DefaultWriterProps())
	if err != nil {
		return nil, err
	}
	codec, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		return nil, err
	}
	values := metadata.NewKeyValueMetadata()
	for i, key := range columns.Metadata().Keys() {
		if err := values.Append(key, columns.Metadata().Values()[i]); err != nil {
			return nil, err
		}
	}
	_, err = s.Write([]byte(parquetMagic))
	return &fileWriter{sink: s, props: props, footer: metadata.NewFileMetadataBuilder(types, props, values), pages: newPageBuilder(codec)}, err
}

// writeGroup writes a row group of so many rows. column returns the arrays of a column,
// which together have these rows.
func (f *fileWriter) writeGroup(rows int64, column func(i int) []arrow.Array) error {
	group := f.footer.AppendRowGroup()
	for i := range group.NumColumns() {
		chunk := group.NextColumnChunk()
		path := chunk.Descr().Path()
		pages, err := file.NewPageWriter(f.sink, f.props.CompressionFor(path), zstdLevel, chunk, f.groups, int16(i), memory.DefaultAllocator, false, nil, nil)
		if err != nil {
			return err
		}
		dictionary := f.props.DictionaryEnabledFor(path)
		stats, err := f.pages.write(pages, column(i), chunk.Descr().MaxDefinitionLevel() > 0, dictionary)
		if err != nil {
			return err
		}
		stats.ApplyStatSizeLimits(int(f.props.MaxStatsSizeFor(path)))
		chunk.SetStats(stats)
		if err := pages.Close(dictionary, false); err != nil {
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
	_, err = f.sink.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(size)), parquetMagic...))
	return err
}

package tablefiletest

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
	"github.com/klauspost/compress/zstd"

	"github.com/cvexport/cvexport/schema"
)

// lies are what a file of kilobytes says to take gigabytes. The zero value is a sound
// file in which every row is the same.
type lies struct {
	rows       int  // default 1
	text       int  // bytes of each text; default those of the export's id
	dictionary int  // values that a dictionary says it has
	plain      int  // bytes that a page says it has unpacked
	bomb       int  // bytes that a page has unpacked, instead of those that it says
	header     bool // a page's header does not end
	encoding   int  // of data pages; default a dictionary's
}

// Hostile returns files of a table whose columns are texts, numbers and times, each of
// which is small and takes gigabytes of a reader that believes it, by what is wrong.
func Hostile(t testing.TB, table schema.Table, exportID schema.ID) map[string][]byte {
	t.Helper()
	const much = math.MaxInt32
	files := map[string][]byte{
		"a long text in every row":       file(t, table, exportID, lies{rows: 200_000, text: 8 << 20}),
		"two thousand million rows":      file(t, table, exportID, lies{rows: much}),
		"a dictionary that lies":         file(t, table, exportID, lies{dictionary: much}),
		"a page that lies":               file(t, table, exportID, lies{plain: much}),
		"a page that is a bomb":          file(t, table, exportID, lies{bomb: 1 << 30}),
		"a page header without end":      file(t, table, exportID, lies{header: true}),
		"lengths for every value":        file(t, table, exportID, lies{rows: 1000, encoding: 6}),
		"a list of columns that lies":    withFooter(field(2, 9, listOf(much, 12))),
		"a list of row groups that lies": withFooter(field(4, 9, listOf(much, 12))),
		"row groups of nothing":          withFooter(field(4, 9, append(listOf(4_000_000, 12), make([]byte, 4_000_000)...))),
		"metadata of nothing":            withFooter(field(5, 9, append(listOf(2_000_000, 12), bytes.Repeat([]byte{0x18, 0, 0}, 2_000_000)...))),
		"a footer in a footer":           withFooter(bytes.Repeat([]byte{0x1c}, 6<<20)),
		"lists in lists":                 withFooter(field(9, 9, bytes.Repeat([]byte{0x19}, 6<<20))),
		"a text that lies":               withFooter(field(6, 8, binary.AppendUvarint(nil, much))),
		"a footer that lies":             slices.Concat([]byte("PAR1"), []byte{0xff, 0xff, 0xff, 0x7f}, []byte("PAR1")),
		"columns in columns":             withFooter(field(2, 9, append(listOf(300_000, 12), bytes.Repeat([]byte{0x48, 1, 'a', 0x15, 2, 0}, 300_000)...))),
	}
	for name, body := range files {
		if len(body) > 8<<20 {
			t.Fatalf("%s: it has %d bytes", name, len(body))
		}
	}
	return files
}

// Same returns a file in which every row is the same.
func Same(t testing.TB, table schema.Table, exportID schema.ID, rows int) []byte {
	t.Helper()
	return file(t, table, exportID, lies{rows: rows})
}

func withFooter(fields []byte) []byte {
	footer := append(fields, 0)
	return slices.Concat([]byte("PAR1"), footer, binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), []byte("PAR1"))
}

// field is a field of Thrift's compact protocol, the first of its structure.
func field(id, kind byte, value []byte) []byte { return append([]byte{id<<4 | kind}, value...) }

func listOf(n uint64, kind byte) []byte { return binary.AppendUvarint([]byte{0xf0 | kind}, n) }

func file(t testing.TB, table schema.Table, exportID schema.ID, l lies) []byte {
	t.Helper()
	columns := table.Arrow(exportID)
	props := parquet.NewWriterProperties(parquet.WithVersion(parquet.V2_6), parquet.WithCompression(compress.Codecs.Zstd), parquet.WithDictionaryDefault(true))
	types, err := pqarrow.ToParquet(columns, props, pqarrow.DefaultWriterProps())
	if err != nil {
		t.Fatal(err)
	}
	values := metadata.NewKeyValueMetadata()
	for i, key := range columns.Metadata().Keys() {
		if err := values.Append(key, columns.Metadata().Values()[i]); err != nil {
			t.Fatal(err)
		}
	}
	if l.rows == 0 {
		l.rows = 1
	}
	body := bytes.NewBufferString("PAR1")
	footer := metadata.NewFileMetadataBuilder(types, props, values)
	group := footer.AppendRowGroup()
	for i, f := range columns.Fields() {
		chunk := group.NextColumnChunk()
		info := l.chunk(t, body, f, exportID, i == 0)
		stats := metadata.EncodingStats{DictEncodingStats: map[parquet.Encoding]int32{parquet.Encodings.Plain: 1}, DataEncodingStats: map[parquet.Encoding]int32{parquet.Encodings.RLEDict: 1}}
		if err := chunk.Finish(info, true, false, stats); err != nil {
			t.Fatal(err)
		}
	}
	group.SetNumRows(l.rows)
	if err := group.Finish(0, 0); err != nil {
		t.Fatal(err)
	}
	m, err := footer.Finish()
	if err != nil {
		t.Fatal(err)
	}
	size, err := m.WriteTo(body, nil)
	if err != nil {
		t.Fatal(err)
	}
	body.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(size)), "PAR1"...))
	return body.Bytes()
}

// chunk writes a dictionary of one value, and a page that has it in every row. Only the
// first column lies about more than its rows.
func (l lies) chunk(t testing.TB, out *bytes.Buffer, f arrow.Field, exportID schema.ID, first bool) metadata.ChunkMetaInfo {
	t.Helper()
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close()
	info := metadata.ChunkMetaInfo{NumValues: int64(l.rows), DictPageOffset: int64(out.Len()), IndexPageOffset: -1}
	page := func(kind, values, encoding int, body []byte) {
		packed, plain := packer.EncodeAll(body, nil), len(body)
		if kind == 2 && first {
			if l.plain > 0 {
				plain = l.plain
			}
			if l.dictionary > 0 {
				values = l.dictionary
			}
			if l.bomb > 0 {
				packed = bomb(t, l.bomb)
			}
		}
		header := pageHeader(kind, plain, len(packed), values, encoding)
		if l.header && first {
			header = append(slices.Clone(header[:len(header)-1]), bytes.Repeat([]byte{0x9c, 0}, 1<<20)...) // more and more fields
		}
		info.UncompressedSize += int64(len(header) + plain)
		info.CompressedSize += int64(len(header) + len(packed))
		out.Write(header)
		out.Write(packed)
	}
	page(2, 1, 0, l.value(t, f, exportID, first))
	info.DataPageOffset = int64(out.Len())
	var data []byte
	if f.Nullable {
		levels := append(binary.AppendUvarint(nil, uint64(l.rows)<<1), 1)
		data = append(binary.LittleEndian.AppendUint32(data, uint32(len(levels))), levels...)
	}
	data = append(binary.AppendUvarint(append(data, 1), uint64(l.rows)<<1), 0)
	encoding := 8
	if first && l.encoding != 0 {
		encoding = l.encoding
	}
	page(0, l.rows, encoding, data)
	return info
}

// value is a value as a dictionary has it.
func (l lies) value(t testing.TB, f arrow.Field, exportID schema.ID, first bool) []byte {
	t.Helper()
	switch f.Type.ID() {
	case arrow.INT32:
		return make([]byte, 4)
	case arrow.INT64, arrow.FLOAT64, arrow.TIMESTAMP:
		return make([]byte, 8)
	case arrow.STRING:
		text := exportID.String()
		if l.text > 0 && first {
			text = strings.Repeat("x", l.text)
		}
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(text))), text...)
	}
	t.Fatalf("column %s: no value of type %s", f.Name, f.Type)
	return nil
}

// bomb is so many zeros, packed.
func bomb(t testing.TB, size int) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := zstd.NewWriter(&packed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range size / len(zeros) {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func pageHeader(kind, plain, packed, values, encoding int) (h []byte) {
	number := func(n int) { h = binary.AppendVarint(append(h, 0x15), int64(n)) }
	number(kind)
	number(plain)
	number(packed)
	if kind == 2 {
		h = append(h, 0x4c)
		number(values)
		number(encoding)
	} else {
		h = append(h, 0x2c)
		number(values)
		number(encoding)
		number(3)
		number(3)
	}
	return append(h, 0, 0)
}

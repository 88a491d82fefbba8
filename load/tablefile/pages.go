package tablefile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/metadata"
	"github.com/klauspost/compress/zstd"
)

// pageWriter writes the pages of one column chunk after another: version 1 data pages
// of plain values, or a dictionary page and one page of indices into it
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/). It reuses its
// buffers.
type pageWriter struct {
	sink    *sink
	encoder *zstd.Encoder
	size    int // of a page of plain values, about

	// The column chunk.
	info      metadata.ChunkMetaInfo
	encodings metadata.EncodingStats

	spans      []span
	body       []byte
	header     []byte
	compressed []byte
	dictionary dictionary
	indices    []uint32
}

func newPageWriter(s *sink, encoder *zstd.Encoder) pageWriter {
	return pageWriter{sink: s, encoder: encoder, size: dataPageSize, dictionary: dictionary{places: map[string]uint32{}}}
}

// release drops the references to a column's arrays.
func (w *pageWriter) release() {
	clear(w.spans[:cap(w.spans)])
	w.dictionary.reset()
}

// span is some rows of an array.
type span struct {
	of       arrow.Array
	from, to int
}

// writeChunk writes the pages of a column chunk and returns its statistics.
func (w *pageWriter) writeChunk(column []arrow.Array, nullable, dictionary bool) (stats metadata.EncodedStatistics, err error) {
	defer w.release()
	w.info = metadata.ChunkMetaInfo{IndexPageOffset: -1}
	w.encodings = metadata.EncodingStats{DictEncodingStats: map[parquet.Encoding]int32{}, DataEncodingStats: map[parquet.Encoding]int32{}}
	nulls := 0
	for _, a := range column {
		nulls += a.NullN()
	}
	stats.SetNullCount(int64(nulls))
	if dictionary {
		return stats, w.writeDictionary(column, nullable)
	}
	values, err := newPlainValues(column[0])
	if err != nil {
		return stats, err
	}
	err = w.writePlain(column, nullable, values)
	values.bounds(&stats)
	return stats, err
}

// writePlain writes pages of at most w.size bytes, or of one step.
func (w *pageWriter) writePlain(column []arrow.Array, nullable bool, values plainValues) error {
	step, size := values.step(w.size), 0
	w.spans = w.spans[:0]
	for _, a := range column {
		for from := 0; from < a.Len(); from += step {
			s := span{a, from, min(a.Len(), from+step)}
			more := values.size(s)
			if size > 0 && size+more > w.size {
				if err := w.writeValues(nullable, values); err != nil {
					return err
				}
				w.spans, size = w.spans[:0], 0
			}
			w.spans = append(w.spans, s)
			size += more
		}
	}
	return w.writeValues(nullable, values)
}

// writeValues writes the page of w.spans.
func (w *pageWriter) writeValues(nullable bool, values plainValues) error {
	rows := w.begin(nullable)
	for _, s := range w.spans {
		w.body = values.append(w.body, s)
	}
	return w.writeData(rows, parquet.Encodings.Plain)
}

// writeDictionary writes a column's distinct values in order of appearance, and one
// page of indices.
func (w *pageWriter) writeDictionary(column []arrow.Array, nullable bool) (err error) {
	w.spans = w.spans[:0]
	for _, a := range column {
		w.spans = append(w.spans, span{a, 0, a.Len()})
	}
	rows := w.begin(nullable)
	w.indices = slices.Grow(w.indices[:0], rows)
	for _, a := range column {
		if w.indices, err = w.dictionary.appendIndices(w.indices, a); err != nil {
			return err
		}
	}
	n := w.dictionary.len()
	w.info.DictPageOffset = w.sink.size
	w.encodings.DictEncodingStats[parquet.Encodings.Plain]++
	if err := w.writePage(dictionaryPage, n, parquet.Encodings.Plain, w.dictionary.plain); err != nil {
		return err
	}
	width := max(1, bits.Len(uint(max(1, n)-1)))
	w.body = appendHybrid(append(w.body, byte(width)), w.indices, width)
	return w.writeData(rows, parquet.Encodings.RLEDict)
}

// begin begins the body of the page of w.spans with the definition levels, and returns
// the number of rows.
func (w *pageWriter) begin(nullable bool) (rows int) {
	w.body = w.body[:0]
	nulls := 0
	for _, s := range w.spans {
		rows += s.to - s.from
		nulls += s.nulls()
	}
	if nullable {
		w.body = appendLevels(w.body, w.spans, rows, nulls)
	}
	return rows
}

// writeData writes a data page of w.body.
func (w *pageWriter) writeData(rows int, encoding parquet.Encoding) error {
	if w.info.DataPageOffset == 0 {
		w.info.DataPageOffset = w.sink.size
	}
	w.info.NumValues += int64(rows)
	w.encodings.DataEncodingStats[encoding]++
	return w.writePage(dataPage, rows, encoding, w.body)
}

// Types of pages.
const (
	dataPage       = 0
	dictionaryPage = 2
)

// writePage writes a page and adds it to the sizes of the column chunk.
func (w *pageWriter) writePage(kind, values int, encoding parquet.Encoding, body []byte) error {
	w.compressed = w.encoder.EncodeAll(body, w.compressed[:0])
	w.header = appendPageHeader(w.header[:0], kind, len(body), len(w.compressed), values, encoding)
	w.info.UncompressedSize += int64(len(w.header) + len(body))
	w.info.CompressedSize += int64(len(w.header) + len(w.compressed))
	if _, err := w.sink.Write(w.header); err != nil {
		return err
	}
	_, err := w.sink.Write(w.compressed)
	return err
}

// appendPageHeader appends the format's PageHeader in Thrift's compact protocol: before
// each value a byte of how far its number is from that of the field before, and its type.
func appendPageHeader(dst []byte, kind, size, compressed, values int, encoding parquet.Encoding) []byte {
	const number, structure, no, end = 5, 12, 2, 0
	next := func(n int) { dst = binary.AppendVarint(append(dst, 1<<4|number), int64(n)) }
	next(kind)
	next(size)
	next(compressed)
	if kind == dictionaryPage {
		dst = append(dst, 4<<4|structure) // field 7, dictionary_page_header
		next(values)
		next(int(encoding))
		dst = append(dst, 1<<4|no) // is_sorted
	} else {
		dst = append(dst, 2<<4|structure) // field 5, data_page_header
		next(values)
		next(int(encoding))
		next(int(parquet.Encodings.RLE)) // of definition levels
		next(int(parquet.Encodings.RLE)) // of repetition levels
	}
	return append(dst, end, end)
}

// nulls returns the number of nulls.
func (s span) nulls() int {
	if s.of.NullN() == 0 || s.of.NullN() == s.of.Len() {
		return min(s.of.NullN(), s.to-s.from)
	}
	n := 0
	for i := s.from; i < s.to; i++ {
		if s.of.IsNull(i) {
			n++
		}
	}
	return n
}

// appendLevels appends definition levels, 1 for a value and 0 for a null: one run if
// they are all the same, otherwise a bitmap.
func appendLevels(dst []byte, spans []span, rows, nulls int) []byte {
	begin := len(dst)
	dst = append(dst, 0, 0, 0, 0) // their length
	switch nulls {
	case 0:
		dst = appendRun(dst, rows, 1, 1)
	case rows:
		dst = appendRun(dst, rows, 0, 1)
	default:
		groups := (rows + 7) / 8
		dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
		bitmap := len(dst)
		dst = append(dst, make([]byte, groups)...)
		row := 0
		for _, s := range spans {
			for i := s.from; i < s.to; i++ {
				if s.of.IsValid(i) {
					dst[bitmap+row/8] |= 1 << (row % 8)
				}
				row++
			}
		}
	}
	binary.LittleEndian.PutUint32(dst[begin:], uint32(len(dst)-begin-4))
	return dst
}

// dictionary is the distinct values of a column chunk.
type dictionary struct {
	plain    []byte            // as a dictionary page has them
	places   map[string]uint32 // the strings are parts of the arrays
	ofRecord []uint32          // by the index into a record's own dictionary
}

func (d *dictionary) len() int { return len(d.places) }

func (d *dictionary) reset() {
	clear(d.places)
	d.plain = d.plain[:0]
}

// place returns the index of a value, which it adds if it is new.
func (d *dictionary) place(value string) uint32 {
	place, ok := d.places[value]
	if !ok {
		place = uint32(len(d.places))
		d.places[value] = place
		d.plain = appendString(d.plain, value)
	}
	return place
}

// appendIndices appends the indices of an array's values, without nulls.
func (d *dictionary) appendIndices(dst []uint32, a arrow.Array) ([]uint32, error) {
	switch a := a.(type) {
	case *array.String:
		for i := range a.Len() {
			if a.IsValid(i) {
				dst = append(dst, d.place(a.Value(i)))
			}
		}
	case *array.Dictionary:
		values := a.Dictionary().(*array.String)
		d.ofRecord = d.ofRecord[:0]
		for i := range values.Len() {
			d.ofRecord = append(d.ofRecord, d.place(values.Value(i)))
		}
		nulls := a.NullN() > 0
		for i, index := range a.Indices().(*array.Int32).Int32Values() {
			if !nulls || a.IsValid(i) {
				dst = append(dst, d.ofRecord[index])
			}
		}
	default:
		return nil, fmt.Errorf("no dictionary is made of type %s", a.DataType())
	}
	return dst, nil
}

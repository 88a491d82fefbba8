package load

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// pageBuilder makes the pages of one column chunk after the other: version 1 data
// pages of plain values, or a dictionary page and one page of indices into it
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/). Its buffers
// are used again.
type pageBuilder struct {
	size       int // of a page of plain values, about
	codec      compress.Codec
	spans      []span
	body       []byte
	compressed []byte
	words      wordList
	indices    []uint32
}

func newPageBuilder(codec compress.Codec) pageBuilder {
	return pageBuilder{size: dataPageSize, codec: codec, words: wordList{places: map[string]uint32{}}}
}

// forget lets go of the arrays of a column.
func (b *pageBuilder) forget() {
	clear(b.spans[:cap(b.spans)])
	b.words.reset()
}

// span is some rows of an array.
type span struct {
	of       arrow.Array
	from, to int
}

// write writes the pages of a column, and returns the statistics of the column chunk.
func (b *pageBuilder) write(to file.PageWriter, column []arrow.Array, nullable, dictionary bool) (stats metadata.EncodedStatistics, err error) {
	defer b.forget()
	nulls := 0
	for _, a := range column {
		nulls += a.NullN()
	}
	stats.SetNullCount(int64(nulls))
	if dictionary {
		return stats, b.writeDictionary(to, column, nullable)
	}
	values, err := newPlainValues(column[0])
	if err != nil {
		return stats, err
	}
	err = b.writePlain(to, column, nullable, values)
	values.bounds(&stats)
	return stats, err
}

// writePlain writes pages of at most the size, or of one step.
func (b *pageBuilder) writePlain(to file.PageWriter, column []arrow.Array, nullable bool, values plainValues) error {
	step, size := values.step(b.size), 0
	b.spans = b.spans[:0]
	for _, a := range column {
		for from := 0; from < a.Len(); from += step {
			s := span{a, from, min(a.Len(), from+step)}
			more := values.size(s)
			if size > 0 && size+more > b.size {
				if err := b.writeValues(to, nullable, values); err != nil {
					return err
				}
				b.spans, size = b.spans[:0], 0
			}
			b.spans = append(b.spans, s)
			size += more
		}
	}
	return b.writeValues(to, nullable, values)
}

// writeValues writes the page of the spans.
func (b *pageBuilder) writeValues(to file.PageWriter, nullable bool, values plainValues) error {
	rows := b.begin(nullable)
	for _, s := range b.spans {
		b.body = values.append(b.body, s)
	}
	return b.finish(to, rows, parquet.Encodings.Plain)
}

// writeDictionary writes a dictionary of a column's words, in the order in which they
// appear, and one page of indices.
func (b *pageBuilder) writeDictionary(to file.PageWriter, column []arrow.Array, nullable bool) (err error) {
	b.spans = b.spans[:0]
	for _, a := range column {
		b.spans = append(b.spans, span{a, 0, a.Len()})
	}
	rows := b.begin(nullable)
	b.indices = slices.Grow(b.indices[:0], rows)
	for _, a := range column {
		if b.indices, err = b.words.appendIndices(b.indices, a); err != nil {
			return err
		}
	}
	page := file.NewDictionaryPage(memory.NewBufferBytes(b.words.plain), int32(b.words.n()), parquet.Encodings.Plain)
	defer page.Release()
	if _, err := to.WriteDictionaryPage(page); err != nil {
		return err
	}
	width := max(1, bits.Len(uint(max(1, b.words.n())-1)))
	b.body = appendHybrid(append(b.body, byte(width)), b.indices, width)
	return b.finish(to, rows, parquet.Encodings.RLEDict)
}

// begin begins the page of the spans with which of their rows have a value, and
// returns how many rows there are.
func (b *pageBuilder) begin(nullable bool) (rows int) {
	b.body = b.body[:0]
	nulls := 0
	for _, s := range b.spans {
		rows += s.to - s.from
		nulls += s.nulls()
	}
	if nullable {
		b.body = appendLevels(b.body, b.spans, rows, nulls)
	}
	return rows
}

func (b *pageBuilder) finish(to file.PageWriter, rows int, encoding parquet.Encoding) error {
	b.compressed = b.codec.EncodeLevel(b.compressed[:0], b.body, zstdLevel)
	levels := parquet.Encodings.RLE
	page := file.NewDataPageV1(memory.NewBufferBytes(b.compressed), int32(rows), encoding, levels, levels, int32(len(b.body)))
	defer page.Release()
	_, err := to.WriteDataPage(page)
	return err
}

// nulls is how many of the rows have no value.
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
// they are all the same, and a bitmap if not.
func appendLevels(dst []byte, spans []span, rows, nulls int) []byte {
	begin := len(dst)
	dst = append(dst, 0, 0, 0, 0) // how long they are
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

// wordList is the dictionary of a column chunk.
type wordList struct {
	plain  []byte            // as a dictionary page has them
	places map[string]uint32 // words are parts of the arrays
	ofPage []uint32          // by the places in an array's own dictionary
}

func (w *wordList) n() int { return len(w.places) }

func (w *wordList) reset() {
	clear(w.places)
	w.plain = w.plain[:0]
}

// place is where a word is. It may be new.
func (w *wordList) place(word string) uint32 {
	place, ok := w.places[word]
	if !ok {
		place = uint32(len(w.places))
		w.places[word] = place
		w.plain = appendText(w.plain, word)
	}
	return place
}

// appendIndices appends the places of an array's values, without its nulls.
func (w *wordList) appendIndices(dst []uint32, a arrow.Array) ([]uint32, error) {
	switch a := a.(type) {
	case *array.String:
		for i := range a.Len() {
			if a.IsValid(i) {
				dst = append(dst, w.place(a.Value(i)))
			}
		}
	case *array.Dictionary:
		words := a.Dictionary().(*array.String)
		w.ofPage = w.ofPage[:0]
		for i := range words.Len() {
			w.ofPage = append(w.ofPage, w.place(words.Value(i)))
		}
		nulls := a.NullN() > 0
		for i, place := range a.Indices().(*array.Int32).Int32Values() {
			if !nulls || a.IsValid(i) {
				dst = append(dst, w.ofPage[place])
			}
		}
	default:
		return nil, fmt.Errorf("no dictionary is made of type %s", a.DataType())
	}
	return dst, nil
}

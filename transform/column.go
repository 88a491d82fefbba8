package transform

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// A column is collected in slices that are reused from page to page, and copied
// into Arrow's buffers when the page is whole: Arrow's builders check their
// capacity at every value, and hand over as much memory as they have grown to.
//
// Offsets and indexes are int32. They cannot overflow, because a page is smaller
// than that (maxPage), and no column gets more rows or text from it than it has bytes.

// column collects numbers.
type column[T int32 | float64 | arrow.Timestamp] struct {
	parse  func(*scanner) T
	values []T
	nulls  []int32 // the rows that are null, which nearly always are none or all
}

func (c *column[T]) read(s *scanner) { c.append(c.parse(s)) }

func (c *column[T]) append(v T) { c.values = append(c.values, v) }

func (c *column[T]) appendNull() {
	c.nulls = append(c.nulls, int32(len(c.values)))
	c.append(0)
}

func (c *column[T]) len() int { return len(c.values) }

func (c *column[T]) reset() { c.values, c.nulls = c.values[:0], c.nulls[:0] }

func (c *column[T]) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	return makeArray(mem, dt, len(c.values), c.nulls, nil, arrow.GetBytes(c.values))
}

// texts collects strings that do not repeat. Its numbers are their ends in data.
type texts struct {
	column[int32]
	parse func(*scanner) []byte
	data  []byte
}

func (c *texts) read(s *scanner) { c.append(c.parse(s)) }

func (c *texts) append(text []byte) {
	c.data = append(c.data, text...)
	c.column.append(int32(len(c.data)))
}

func (c *texts) appendNull() {
	c.nulls = append(c.nulls, int32(c.len()))
	c.append(nil)
}

func (c *texts) reset() {
	c.column.reset()
	c.data = c.data[:0]
}

func (c *texts) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	offsets := append([]int32{0}, c.values...)
	return makeArray(mem, dt, c.len(), c.nulls, nil, arrow.GetBytes(offsets), c.data)
}

// dictionary collects strings that repeat: each once, and for every row which one
// it is. It starts afresh with every page.
type dictionary struct {
	column[int32]
	words   texts
	indexes map[string]int32
}

// add adds a word that is new, and returns its index.
func (d *dictionary) add(word []byte) int32 {
	d.words.append(word)
	return int32(d.words.len() - 1)
}

// index returns the index of a word, which may be new.
func (d *dictionary) index(word []byte) int32 {
	i, ok := d.indexes[string(word)]
	if !ok {
		i = d.add(word)
		d.indexes[string(word)] = i
	}
	return i
}

func (d *dictionary) reset() {
	d.column.reset()
	d.words.reset()
	d.indexes = make(map[string]int32, len(d.indexes))
}

func (d *dictionary) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	words := d.words.array(mem, dt.(*arrow.DictionaryType).ValueType)
	defer words.Release()
	return makeArray(mem, dt, d.len(), d.nulls, words.Data().(*array.Data), arrow.GetBytes(d.values))
}

// tagColumn collects the ids or names of tags. A page has few of them, often: the
// cache saves parsing and hashing what is written as it was before.
type tagColumn struct {
	dictionary
	parse func(*scanner) []byte
	ids   *tagColumn // if these are names
	cache [256]struct {
		text  []byte // as it is written, a part of the page
		index int32
	}
}

func (c *tagColumn) read(s *scanner) {
	s.peek()
	cached, start := &c.cache[c.key(s)%256], s.pos
	if len(cached.text) > 0 && bytes.HasPrefix(s.body[start:], cached.text) {
		s.pos += len(cached.text)
	} else {
		cached.index = c.index(c.parse(s))
		cached.text = s.body[start:s.pos]
	}
	c.append(cached.index)
}

// key returns where in the cache the next text is: an id by its beginning, a name by
// the tag's id, or that of the row before if the name precedes the id.
func (c *tagColumn) key(s *scanner) uint64 {
	switch {
	case c.ids == nil && len(s.body)-s.pos > 8:
		return binary.LittleEndian.Uint64(s.body[s.pos+1:]) * 0x9E3779B97F4A7C15 >> 56
	case c.ids != nil && c.ids.len() > 0:
		return uint64(c.ids.values[c.ids.len()-1])
	}
	return 0
}

func (c *tagColumn) reset() {
	c.dictionary.reset()
	clear(c.cache[:])
}

// times collects times. One that cannot be read is null, and noted: nothing is lost with
// it but itself.
type times struct {
	column[arrow.Timestamp]
	path string // of the field
}

func (c *times) read(s *scanner) {
	var micros int64
	var err error
	s.peek()
	start := s.pos
	if s.at('"') {
		micros, err = schema.ParseTime(s.text())
	} else {
		s.skip(2) // at least: the page and an image
		err = errNoTime
	}
	if s.err == nil && err != nil {
		s.noteUnread(c.path, s.body[start:s.pos])
		c.appendNull()
		return
	}
	c.append(arrow.Timestamp(micros))
}

// noteUnread remembers the first text of a field that could not be read.
func (s *scanner) noteUnread(path string, text []byte) {
	if _, noted := s.unread[path]; noted {
		return
	}
	if s.unread == nil {
		s.unread = map[string]string{}
	}
	s.unread[path] = clip(string(text))
}

func (s *scanner) id() schema.ID {
	id, err := schema.ParseID(s.text())
	if err == nil && id.IsZero() {
		err = errZeroID
	}
	s.check(err)
	return id
}

// idText reads an id as the warehouse writes it. It is valid until the next is read.
func (s *scanner) idText() []byte { return s.id().Append(s.scratch[:0]) }

// shortText reads a string of a length that the warehouse takes.
func (s *scanner) shortText() []byte {
	t := s.text()
	if len(t) > schema.MaxText {
		s.check(fmt.Errorf("the text has %d bytes, more than the limit of %d", len(t), schema.MaxText))
	}
	return t
}

// uri reads a URI without its query string.
func (s *scanner) uri() []byte {
	uri, _, _ := bytes.Cut(s.shortText(), []byte("?"))
	return uri
}

// makeArray copies the parts, and retains the words if there are any.
func makeArray(mem memory.Allocator, dt arrow.DataType, n int, nulls []int32, words *array.Data, parts ...[]byte) arrow.Array {
	buffers := []*memory.Buffer{validity(mem, n, nulls)}
	for _, part := range parts {
		b := memory.NewResizableBuffer(mem)
		b.Resize(len(part))
		copy(b.Bytes(), part)
		buffers = append(buffers, b)
	}
	data := array.NewDataWithDictionary(dt, n, buffers, len(nulls), 0, words)
	defer data.Release()
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	return array.MakeFromData(data)
}

// validity returns Arrow's bitmap of the rows that are not null, nil if all are such.
func validity(mem memory.Allocator, n int, nulls []int32) *memory.Buffer {
	if len(nulls) == 0 {
		return nil
	}
	fill := byte(0xff)
	if len(nulls) == n {
		fill, nulls = 0, nil
	}
	valid := memory.NewResizableBuffer(mem)
	valid.Resize(int(bitutil.BytesForBits(int64(n))))
	memory.Set(valid.Bytes(), fill)
	for _, i := range nulls {
		bitutil.ClearBit(valid.Bytes(), int(i))
	}
	return valid
}

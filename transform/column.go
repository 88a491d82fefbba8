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

// nulls are the rows in which a column is null, which nearly always are none or all.
type nulls []int32

// bitmap returns Arrow's form for n rows, nil if none is null.
func (at nulls) bitmap(mem memory.Allocator, n int) *memory.Buffer {
	if len(at) == 0 {
		return nil
	}
	valid := memory.NewResizableBuffer(mem)
	valid.Resize(int(bitutil.BytesForBits(int64(n))))
	if len(at) == n {
		memory.Set(valid.Bytes(), 0)
		return valid
	}
	memory.Set(valid.Bytes(), 0xff)
	for _, i := range at {
		bitutil.ClearBit(valid.Bytes(), int(i))
	}
	return valid
}

// column collects numbers.
type column[T int32 | float64 | arrow.Timestamp] struct {
	values []T
	nulls  nulls
}

func (c *column[T]) append(v T) { c.values = append(c.values, v) }

func (c *column[T]) appendNull() {
	c.nulls = append(c.nulls, int32(len(c.values)))
	c.values = append(c.values, 0)
}

func (c *column[T]) len() int { return len(c.values) }

func (c *column[T]) reset() { c.values, c.nulls = c.values[:0], c.nulls[:0] }

func (c *column[T]) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	return makeArray(dt, len(c.values), len(c.nulls), nil, c.nulls.bitmap(mem, len(c.values)), copied(mem, arrow.GetBytes(c.values)))
}

type doubleColumn struct{ column[float64] }

func (c *doubleColumn) read(s *scanner) (err error) {
	v, ok := s.shortFloat()
	if !ok {
		if v, err = s.float(); err != nil {
			return err
		}
	}
	c.append(v)
	return nil
}

type pixelColumn struct{ column[int32] }

func (c *pixelColumn) read(s *scanner) error {
	v, err := s.pixels()
	c.append(v)
	return err
}

type timeColumn struct{ column[arrow.Timestamp] }

func (c *timeColumn) read(s *scanner) error {
	t, err := s.text()
	if err != nil {
		return err
	}
	micros, err := schema.ParseTime(t)
	c.append(arrow.Timestamp(micros))
	return err
}

// texts collects strings that do not repeat.
type texts struct {
	data  []byte
	ends  []int32 // of each string in data
	nulls nulls
}

func (c *texts) append(v []byte) {
	c.data = append(c.data, v...)
	c.ends = append(c.ends, int32(len(c.data)))
}

func (c *texts) appendNull() {
	c.nulls = append(c.nulls, int32(len(c.ends)))
	c.append(nil)
}

// at returns the i-th string.
func (c *texts) at(i int32) []byte {
	start := int32(0)
	if i > 0 {
		start = c.ends[i-1]
	}
	return c.data[start:c.ends[i]]
}

func (c *texts) len() int { return len(c.ends) }

func (c *texts) reset() { c.data, c.ends, c.nulls = c.data[:0], c.ends[:0], c.nulls[:0] }

func (c *texts) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	buffer := memory.NewResizableBuffer(mem)
	buffer.Resize(arrow.Int32Traits.BytesRequired(len(c.ends) + 1))
	offsets := arrow.Int32Traits.CastFromBytes(buffer.Bytes())
	offsets[0] = 0
	copy(offsets[1:], c.ends)
	return makeArray(dt, len(c.ends), len(c.nulls), nil, c.nulls.bitmap(mem, len(c.ends)), buffer, copied(mem, c.data))
}

// uriColumn drops the query string of a URI, unless it is to be kept.
type uriColumn struct {
	texts
	keepQuery bool
}

func (c *uriColumn) read(s *scanner) error {
	uri, err := s.shortText()
	if i := bytes.IndexByte(uri, '?'); i >= 0 && !c.keepQuery {
		uri = uri[:i]
	}
	c.append(uri)
	return err
}

// idColumn collects ids that do not repeat.
type idColumn struct {
	texts
	last schema.ID
}

func (c *idColumn) read(s *scanner) (err error) {
	if c.last, err = s.id(); err != nil {
		return err
	}
	var buf [36]byte
	c.append(c.last.Append(buf[:0]))
	return nil
}

// shortText reads a string of a length that the warehouse takes.
func (s *scanner) shortText() ([]byte, error) {
	t, err := s.text()
	if err == nil && len(t) > schema.MaxText {
		err = fmt.Errorf("the text has %d bytes, more than the %d that are taken", len(t), schema.MaxText)
	}
	return t, err
}

func (s *scanner) id() (schema.ID, error) {
	t, err := s.text()
	if err != nil {
		return schema.ID{}, err
	}
	id, err := schema.ParseID(t)
	if err == nil && id.IsZero() {
		err = errZeroID
	}
	return id, err
}

// dictionary collects strings that repeat: each once, and for every row which one
// it is. It starts afresh with every page.
type dictionary struct {
	column[int32]
	words   texts
	indexes map[string]int32
}

func newDictionary() dictionary { return dictionary{indexes: map[string]int32{}} }

// index returns the place of a word in the dictionary, to which it may be new.
func (d *dictionary) index(word []byte) int32 {
	i, ok := d.indexes[string(word)]
	if !ok {
		i = int32(d.words.len())
		d.indexes[string(word)] = i
		d.words.append(word)
	}
	return i
}

// repeat appends a word n times. Only the last word is compared: all rows have the
// same export, and an image does not come again.
func (d *dictionary) repeat(word []byte, n int) {
	if n == 0 {
		return
	}
	i := int32(d.words.len() - 1)
	if i < 0 || string(d.words.at(i)) != string(word) {
		d.words.append(word)
		i++
	}
	for range n {
		d.append(i)
	}
}

func (d *dictionary) reset() {
	d.column.reset()
	d.words.reset()
	clear(d.indexes)
}

func (d *dictionary) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	types := dt.(*arrow.DictionaryType)
	words := d.words.array(mem, types.ValueType)
	defer words.Release()
	return makeArray(dt, len(d.values), len(d.nulls), words, d.nulls.bitmap(mem, len(d.values)), copied(mem, arrow.GetBytes(d.values)))
}

// tagIDColumn collects the ids of tags. A page names few tags, often: the cache
// saves parsing and hashing their ids.
type tagIDColumn struct {
	dictionary
	cache [256]cachedID
}

type cachedID struct {
	text  []byte // as it is written, a part of the page
	index int32
}

func (c *tagIDColumn) read(s *scanner) error {
	var cached *cachedID
	s.peek()
	if rest := s.body[s.pos:]; len(rest) >= 38 && rest[0] == '"' && rest[37] == '"' {
		cached = &c.cache[binary.LittleEndian.Uint64(rest[1:])*0x9E3779B97F4A7C15>>56]
		if string(cached.text) == string(rest[1:37]) {
			s.pos += 38
			c.append(cached.index)
			return nil
		}
	}
	start := s.pos + 1
	id, err := s.id()
	if err != nil {
		return err
	}
	var buf [36]byte
	i := c.index(id.Append(buf[:0]))
	if cached != nil {
		*cached = cachedID{s.body[start : start+36], i}
	}
	c.append(i)
	return nil
}

func (c *tagIDColumn) reset() {
	c.dictionary.reset()
	clear(c.cache[:])
}

// nameColumn collects the names of tags. It compares a name with the one that the
// tag had before: if they are the same, it is neither parsed nor hashed.
type nameColumn struct {
	dictionary
	tags   *tagIDColumn
	before []int32 // the tag's name, by the tag's index; -1 for none
}

func (c *nameColumn) read(s *scanner) error {
	s.peek()
	start, tag := s.pos, -1
	if n := len(c.tags.values); n > 0 {
		tag = int(c.tags.values[n-1]) // of the row before if the name precedes the id
		if tag < len(c.before) && c.before[tag] >= 0 {
			i := c.before[tag]
			name := c.words.at(i)
			if rest := s.body[s.pos:]; len(rest) >= len(name)+2 && rest[0] == '"' && rest[len(name)+1] == '"' && string(rest[1:len(name)+1]) == string(name) {
				s.pos += len(name) + 2
				c.append(i)
				return nil
			}
		}
	}
	name, err := s.shortText()
	if err != nil {
		return err
	}
	i := c.index(name)
	if tag >= 0 && s.pos == start+len(name)+2 { // without escapes
		for len(c.before) <= tag {
			c.before = append(c.before, -1)
		}
		c.before[tag] = i
	}
	c.append(i)
	return nil
}

func (c *nameColumn) reset() {
	c.dictionary.reset()
	c.before = c.before[:0]
}

// makeArray takes the buffers, and retains the words if there are any.
func makeArray(dt arrow.DataType, n, nulls int, words arrow.Array, buffers ...*memory.Buffer) arrow.Array {
	var data *array.Data
	if words != nil {
		data = array.NewDataWithDictionary(dt, n, buffers, nulls, 0, words.Data().(*array.Data))
	} else {
		data = array.NewData(dt, n, buffers, nil, nulls, 0)
	}
	for _, b := range buffers {
		if b != nil {
			b.Release()
		}
	}
	defer data.Release()
	return array.MakeFromData(data)
}

func copied(mem memory.Allocator, bytes []byte) *memory.Buffer {
	b := memory.NewResizableBuffer(mem)
	b.Resize(len(bytes))
	copy(b.Bytes(), bytes)
	return b
}

package transform

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/bitutil"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// A column is collected in slices that are used for one page after the other, and
// copied into Arrow's buffers when the page is whole: Arrow's builders ask for
// room at every value, and hand over as much room as they have grown to.

// nulls are the places of a column's nulls, which nearly always are none or all.
type nulls []int32

// bitmap is what Arrow has for n values, nil if none is null.
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

// appendIf appends a value that may be absent.
func (c *column[T]) appendIf(present bool, v T) {
	if present {
		c.append(v)
	} else {
		c.appendNull()
	}
}

func (c *column[T]) len() int { return len(c.values) }

func (c *column[T]) reset() { c.values, c.nulls = c.values[:0], c.nulls[:0] }

func (c *column[T]) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	return makeArray(dt, len(c.values), len(c.nulls), nil, c.nulls.bitmap(mem, len(c.values)), copied(mem, arrow.GetBytes(c.values)))
}

// texts collects strings that do not repeat.
type texts struct {
	data    []byte
	offsets []int32 // where each ends
	nulls   nulls
}

func (c *texts) append(v []byte) {
	c.data = append(c.data, v...)
	c.offsets = append(c.offsets, int32(len(c.data)))
}

func (c *texts) appendText(t text) {
	if !t.present {
		c.nulls = append(c.nulls, int32(len(c.offsets)))
	}
	c.append(t.bytes)
}

// endWith tells whether v is the last of the strings.
func (c *texts) endWith(v []byte) bool {
	last := len(c.offsets) - 1
	if last < 0 {
		return false
	}
	from := int32(0)
	if last > 0 {
		from = c.offsets[last-1]
	}
	return string(c.data[from:]) == string(v)
}

func (c *texts) len() int { return len(c.offsets) }

func (c *texts) reset() { c.data, c.offsets, c.nulls = c.data[:0], c.offsets[:0], c.nulls[:0] }

func (c *texts) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	offsets := memory.NewResizableBuffer(mem)
	offsets.Resize(arrow.Int32Traits.BytesRequired(len(c.offsets) + 1))
	ends := arrow.Int32Traits.CastFromBytes(offsets.Bytes())
	ends[0] = 0
	copy(ends[1:], c.offsets)
	return makeArray(dt, len(c.offsets), len(c.nulls), nil, c.nulls.bitmap(mem, len(c.offsets)), offsets, copied(mem, c.data))
}

// dictionary collects strings that repeat: each once, and for every row which one
// it is. It begins anew with every page.
type dictionary struct {
	column[int32]
	words texts
	known map[string]int32
}

// index is the place of a word in the dictionary, which it may be new to.
func (d *dictionary) index(word []byte) int32 {
	i, ok := d.known[string(word)]
	if !ok {
		i = int32(d.words.len())
		d.known[string(word)] = i
		d.words.append(word)
	}
	return i
}

// repeat appends a word n times. It is looked for in the last place alone: an export
// has no other there, and an image does not come again.
func (d *dictionary) repeat(word []byte, n int) {
	if n == 0 {
		return
	}
	if !d.words.endWith(word) {
		d.words.append(word)
	}
	i := int32(d.words.len() - 1)
	for range n {
		d.append(i)
	}
}

func (d *dictionary) appendText(t text) {
	if t.present {
		d.append(d.index(t.bytes))
	} else {
		d.appendNull()
	}
}

func (d *dictionary) reset() {
	d.column.reset()
	d.words.reset()
	clear(d.known)
}

func (d *dictionary) array(mem memory.Allocator, dt arrow.DataType) arrow.Array {
	types := dt.(*arrow.DictionaryType)
	words := d.words.array(mem, types.ValueType)
	defer words.Release()
	return makeArray(dt, len(d.values), len(d.nulls), words, d.nulls.bitmap(mem, len(d.values)), copied(mem, arrow.GetBytes(d.values)))
}

// makeArray takes the buffers, and keeps the words if there are any.
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

package tablefile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// compact walks over a structure in Thrift's compact protocol, in which Parquet's footer
// and page headers are written, and allocates nothing: its counts may lie, and a reader
// that believes them takes gigabytes for a list of a few bytes. It remembers the first
// error; from then on it reads zeros.
type compact struct {
	b        []byte
	at       int
	elements int // of lists that may still come
	err      error
}

// The kinds of values.
const (
	kindTrue uint8 = iota + 1
	kindFalse
	kindByte
	kindInt16
	kindInt32
	kindInt64
	kindDouble
	kindBinary
	kindList
	kindSet
	kindMap
	kindStruct
	kindUUID
)

var errCut = errors.New("it ends in the middle of a value")

func (c *compact) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *compact) bytes(n uint64) []byte {
	if c.err != nil {
		return nil
	}
	if n > uint64(len(c.b)-c.at) {
		c.fail(errCut)
		return nil
	}
	c.at += int(n)
	return c.b[c.at-int(n) : c.at]
}

func (c *compact) byte() uint8 {
	if b := c.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (c *compact) varint() uint64 {
	if c.err != nil {
		return 0
	}
	v, n := binary.Uvarint(c.b[c.at:])
	if n <= 0 {
		c.fail(errCut)
		return 0
	}
	c.at += n
	return v
}

// integer reads a number of 16, 32 or 64 bits.
func (c *compact) integer() int64 {
	v := c.varint()
	return int64(v>>1) ^ -int64(v&1)
}

func (c *compact) binary() []byte { return c.bytes(c.varint()) }

// fields calls field for each field of a structure. It skips what field leaves unread,
// as it says by returning false.
func (c *compact) fields(depth int, field func(id int64, kind uint8) (read bool)) {
	if depth > maxDepth {
		c.fail(fmt.Errorf("it is nested deeper than %d levels", maxDepth))
	}
	for id := int64(0); c.err == nil; {
		head := c.byte()
		kind := head & 0x0f
		if kind == 0 {
			return
		}
		if delta := head >> 4; delta != 0 {
			id += int64(delta)
		} else {
			id = c.integer()
		}
		if !field(id, kind) {
			c.skip(kind, depth)
		}
	}
}

// list reads the head of a list.
func (c *compact) list() (n int, kind uint8) {
	head := c.byte()
	count := uint64(head >> 4)
	if count == 15 {
		count = c.varint()
	}
	return c.count(count), head & 0x0f
}

// count takes n elements from those that may still come.
func (c *compact) count(n uint64) int {
	if c.err == nil && n > uint64(c.elements) {
		c.fail(fmt.Errorf("its lists have more than %d elements", maxElements))
	}
	if c.err != nil {
		return 0
	}
	c.elements -= int(n)
	return int(n)
}

// each calls element for each element of a list of structures.
func (c *compact) each(what string, limit int, element func()) {
	n, kind := c.list()
	if c.err == nil && n > limit {
		c.fail(fmt.Errorf("it has %d %s, more than the limit of %d", n, what, limit))
	}
	if c.err == nil && n > 0 && kind != kindStruct {
		c.fail(fmt.Errorf("its list of %s has something else", what))
	}
	for ; n > 0 && c.err == nil; n-- {
		element()
	}
}

// skip reads a value of a field at such a depth.
func (c *compact) skip(kind uint8, depth int) {
	switch kind {
	case kindTrue, kindFalse:
	case kindByte:
		c.bytes(1)
	case kindInt16, kindInt32, kindInt64:
		c.varint()
	case kindDouble:
		c.bytes(8)
	case kindUUID:
		c.bytes(16)
	case kindBinary:
		c.binary()
	case kindStruct:
		c.fields(depth+1, func(int64, uint8) bool { return false })
	case kindList, kindSet:
		n, of := c.list()
		c.elementsOf(n, depth, of)
	case kindMap:
		if n := c.count(c.varint()); n > 0 {
			kinds := c.byte()
			for ; n > 0 && c.err == nil; n-- {
				c.elementsOf(1, depth, kinds>>4)
				c.elementsOf(1, depth, kinds&0x0f)
			}
		}
	default:
		c.fail(fmt.Errorf("a value is of the unknown kind %d", kind))
	}
}

// elementsOf reads elements. A truth takes a byte here, which it does not in a field.
func (c *compact) elementsOf(n, depth int, kind uint8) {
	if kind == kindTrue || kind == kindFalse {
		kind = kindByte
	}
	if kind == kindList || kind == kindSet || kind == kindMap {
		depth++
		if depth > maxDepth {
			c.fail(fmt.Errorf("it is nested deeper than %d levels", maxDepth))
		}
	}
	for ; n > 0 && c.err == nil; n-- {
		c.skip(kind, depth)
	}
}

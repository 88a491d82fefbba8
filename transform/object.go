package transform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"github.com/cvexport/cvexport/schema"
)

// value reads a field's value into the columns of a table. For a field that is
// absent or null, appendNull is called instead of read.
type value interface {
	read(*scanner)
	appendNull()
}

// field is a field of the service's JSON.
type field struct {
	name     string
	value    value
	required bool
}

// object reads a JSON object. It remembers how the last object was written, as
// others on the page are usually written the same way: then a name is compared
// once, and neither parsed nor looked up.
type object struct {
	path   string // of the object's fields, for those that are not known
	fields []field
	usual  []usualField // by the place in the last object
}

// usualField is a field and the text from the end of the field before to the colon.
type usualField struct {
	text, mask [2]uint64 // the mask has the bits of the text; 0 matches nothing
	length     int
	field      int
}

const unknownField = -1

func (o *object) read(s *scanner) {
	if !s.open('{', "an object") {
		return
	}
	seen, absent := uint64(0), uint64(1)<<len(o.fields)-1 // fields, a bit each
	for n := 0; ; n++ {
		start := s.pos
		i := o.guess(s, n)
		if i == unknownField {
			if s.at('}') { // faster than key, which sees it as well
				s.pos++
				o.appendNulls(s, absent)
				return
			}
			name, more := s.key(n)
			if !more {
				o.appendNulls(s, absent)
				return
			}
			i = slices.IndexFunc(o.fields, func(f field) bool { return f.name == string(name) })
			if i == unknownField {
				if o.skip(s, clip(name)); s.err != nil {
					s.inField(clip(name), start)
				}
				continue
			}
			o.remember(n, s.body[start:s.pos], i)
		}
		f, bit := &o.fields[i], uint64(1)<<i
		switch {
		case seen&bit != 0:
			s.check(errTwice) // two readers could take two different values
		case s.peek() == 'n':
			s.literal("null")
		default:
			f.value.read(s)
			absent &^= bit
		}
		seen |= bit
		if s.err != nil {
			s.inField(f.name, start)
		}
	}
}

// inField locates the error in the field whose name follows start.
func (s *scanner) inField(name string, start int) {
	s.err.within(name, start+bytes.IndexByte(s.body[start:], '"'))
}

// guess reads the name of the n-th field if it is the usual one.
func (o *object) guess(s *scanner, n int) int {
	if n < len(o.usual) && len(s.body)-s.pos >= 16 {
		u, b := &o.usual[n], s.body[s.pos:]
		if binary.LittleEndian.Uint64(b)&u.mask[0] == u.text[0] && binary.LittleEndian.Uint64(b[8:])&u.mask[1] == u.text[1] {
			s.pos += u.length
			return u.field
		}
	}
	return unknownField
}

// remember makes field i the usual one at the n-th place.
func (o *object) remember(n int, text []byte, i int) {
	if n < len(o.fields) && len(text) <= 16 {
		for len(o.usual) <= n {
			o.usual = append(o.usual, usualField{text: [2]uint64{1}}) // matches nothing
		}
		u := usualField{length: len(text), field: i}
		for at, c := range text {
			u.text[at/8] |= uint64(c) << (at % 8 * 8)
			u.mask[at/8] |= 0xff << (at % 8 * 8)
		}
		o.usual[n] = u
	}
}

// skip skips the value of a field that is not known, and counts it.
func (o *object) skip(s *scanner, name string) {
	const limit = 100 // names; a page may hold any number of them
	if s.unknown != nil {
		path := o.path + name
		if _, counted := s.unknown[path]; !counted && len(s.unknown) >= limit {
			path = "(others)"
		}
		s.unknown[path]++
	}
	s.skip(2) // at least: the page and an image
}

func (o *object) appendNulls(s *scanner, absent uint64) {
	for ; absent != 0; absent &= absent - 1 {
		f := &o.fields[bits.TrailingZeros64(absent)]
		if f.required {
			s.check(fmt.Errorf("the required field %s is missing", f.name))
		}
		f.value.appendNull()
	}
}

// appendNull makes every column null that the object fills.
func (o *object) appendNull() {
	for _, f := range o.fields {
		f.value.appendNull()
	}
}

// list reads an array of objects, each a row of a table.
type list struct{ item *object }

func (l list) read(s *scanner) {
	if !s.open('[', "an array") {
		return
	}
	for n := 0; s.more(']', n); n++ {
		s.peek()
		start := s.pos
		if n == schema.MaxItems {
			s.check(errItems)
		}
		if l.item.read(s); s.err != nil {
			s.err.within(fmt.Sprintf("[%d]", n), start)
			return
		}
	}
}

// appendNull does nothing: no list means no rows.
func (l list) appendNull() {}

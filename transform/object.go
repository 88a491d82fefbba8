package transform

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"github.com/cvexport/cvexport/schema"
)

// value reads a field's value into the columns of a table. For a field that is
// absent or null, appendNull is called instead of read.
type value interface {
	read(*scanner) error
	appendNull()
}

// field is a field of the service's JSON.
type field struct {
	name     string
	value    value
	required bool
}

// fieldSet holds fields by their index.
type fieldSet uint64

// object reads a JSON object. It remembers how the last object was written, as
// others on the page are usually written the same way: then a name is compared
// once, and neither parsed nor looked up.
type object struct {
	path   string // of the object's fields, for those that are not known
	depth  int    // of nesting inside the object
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

func (o *object) read(s *scanner) error {
	if err := s.open('{', "an object"); err != nil {
		return err
	}
	seen, absent := fieldSet(0), fieldSet(1)<<len(o.fields)-1
	for n := 0; ; n++ {
		start := s.pos
		i := o.guess(s, n)
		if i == unknownField {
			if s.at('}') { // faster than key, which sees it as well
				s.pos++
				return o.appendNulls(absent)
			}
			name, more, err := s.key(n)
			if err != nil {
				return err
			}
			if !more {
				return o.appendNulls(absent)
			}
			if i = o.index(name); i == unknownField {
				name := clip(name)
				if err := s.skipUnknown(o.path+name, o.depth); err != nil {
					return s.locateField(err, name, start)
				}
				continue
			}
			o.remember(n, s.body[start:s.pos], i)
		}
		f, bit := &o.fields[i], fieldSet(1)<<i
		var err error
		switch {
		case seen&bit != 0:
			err = errTwice // two readers could take two different values
		case s.peek() == 'n':
			err = s.literal("null")
		default:
			err = f.value.read(s)
			absent &^= bit
		}
		seen |= bit
		if err != nil {
			return s.locateField(err, f.name, start)
		}
	}
}

func (o *object) index(name []byte) int {
	for i := range o.fields {
		if string(name) == o.fields[i].name {
			return i
		}
	}
	return unknownField
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

func (o *object) appendNulls(absent fieldSet) error {
	for ; absent != 0; absent &= absent - 1 {
		f := &o.fields[bits.TrailingZeros64(uint64(absent))]
		if f.required {
			return missingError{f.name}
		}
		f.value.appendNull()
	}
	return nil
}

// appendNull makes every column null that the object fills.
func (o *object) appendNull() {
	for i := range o.fields {
		o.fields[i].value.appendNull()
	}
}

// list reads an array of objects, each a row of a table.
type list struct{ item *object }

func (l list) read(s *scanner) error {
	if err := s.open('[', "an array"); err != nil {
		return err
	}
	for n := 0; ; n++ {
		if more, err := s.more(']', n); !more || err != nil {
			return err
		}
		s.peek()
		start := s.pos
		err := errItems
		if n < schema.MaxItems {
			err = l.item.read(s)
		}
		if err != nil {
			return locate(err, "["+strconv.Itoa(n)+"]", start)
		}
	}
}

// appendNull does nothing: no list means no rows.
func (l list) appendNull() {}

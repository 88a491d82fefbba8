package transform

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"unicode/utf8"
)

// maxDepth bounds the nesting of what is skipped, as encoding/json does.
const maxDepth = 10_000

// scanner reads JSON from a page. Each method skips white space and reads one
// thing. It keeps the first error; from then on the page seems to end where it
// is, so that whoever reads on meets its end, and what they read is not used.
type scanner struct {
	body    []byte
	pos     int
	err     *Error
	unknown map[string]int // skipped fields by path; nil if they are not counted
	unread  map[string]string
	scratch [36]byte
}

// check keeps an error about a value. The field or item that it is in locates it.
func (s *scanner) check(err error) {
	if err != nil && s.err == nil {
		s.err = &Error{Image: -1, Offset: -1, Err: err}
		s.body = s.body[:s.pos]
	}
}

// unexpected makes an error of the next byte, which cannot be there, or of the page's end.
func (s *scanner) unexpected() {
	var err error
	switch r, size := utf8.DecodeRune(s.body[s.pos:]); {
	case s.err != nil:
		return
	case size == 0:
		err = fmt.Errorf("the page is cut off after %d bytes: %w", s.pos, io.ErrUnexpectedEOF)
	case r == utf8.RuneError && size == 1:
		err = errUTF8
	default:
		err = fmt.Errorf("unexpected character %q", r)
	}
	s.check(err)
	s.err.Offset = s.pos
}

// kinds are the kinds of JSON values by their first byte.
var kinds = map[byte]string{'{': "an object", '[': "an array", '"': "a string", 't': "a boolean", 'f': "a boolean", 'n': "null", '-': "a number"}

// wrongType makes an error of the next value, which is not what is wanted.
func (s *scanner) wrongType(want string) {
	got := kinds[s.peek()]
	if s.atDigit() {
		got = "a number"
	}
	if got == "" {
		s.unexpected()
	} else {
		s.check(fmt.Errorf("want %s, got %s", want, got))
	}
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.body) && s.body[s.pos] > ' ' {
		return s.body[s.pos]
	}
	return s.skipSpace()
}

// skipSpace is the part of peek that is not worth inlining.
func (s *scanner) skipSpace() byte {
	const space uint64 = 1<<' ' | 1<<'\t' | 1<<'\r' | 1<<'\n'
	for ; s.pos < len(s.body); s.pos++ {
		if c := s.body[s.pos]; 1<<c&space == 0 {
			return c
		}
	}
	return 0
}

// at reports whether c is the very next byte.
func (s *scanner) at(c byte) bool { return s.pos < len(s.body) && s.body[s.pos] == c }

// open reads the start of an object, array or string.
func (s *scanner) open(c byte, want string) bool {
	if s.peek() != c {
		s.wrongType(want)
		return false
	}
	s.pos++
	return true
}

// more reads what stands before the n-th item of an object or array, or its end.
func (s *scanner) more(end byte, n int) bool {
	c := s.peek()
	switch {
	case c != end && n == 0:
		return true
	case c != end && c != ',':
		s.unexpected()
		return false
	}
	s.pos++
	return c != end
}

// key reads the name of an object's n-th field, or the object's end.
func (s *scanner) key(n int) (name []byte, more bool) {
	if !s.more('}', n) {
		return nil, false
	}
	if s.peek() != '"' {
		s.unexpected()
		return nil, false
	}
	name = s.text()
	if s.peek() != ':' {
		s.unexpected()
		return nil, false
	}
	s.pos++
	return name, true
}

// literal reads true, false or null.
func (s *scanner) literal(word string) {
	for i := range len(word) {
		if !s.at(word[i]) {
			s.unexpected()
			return
		}
		s.pos++
	}
}

// skip reads a value inside depth objects and arrays and drops it.
func (s *scanner) skip(depth int) {
	switch c := s.peek(); c {
	case '"':
		s.text()
	case 't':
		s.literal("true")
	case 'f':
		s.literal("false")
	case 'n':
		s.literal("null")
	case '{', '[':
		if depth == maxDepth {
			s.check(errDepth)
			return
		}
		s.pos++
		for n := 0; ; n++ {
			more := c == '[' && s.more(']', n)
			if c == '{' {
				_, more = s.key(n)
			}
			if !more {
				return
			}
			s.skip(depth + 1)
		}
	default:
		s.number("a value")
	}
}

// text reads a string. Its bytes may be a part of the page.
func (s *scanner) text() []byte {
	if !s.open('"', "a string") {
		return nil
	}
	start, escapes := s.pos, false
	for s.skipPlain(); s.at('\\'); s.skipPlain() {
		escapes = true
		s.pos = min(s.pos+2, len(s.body))
	}
	text := s.body[start:s.pos]
	if escapes {
		text = s.unescape(start - 1)
	}
	if !s.at('"') {
		s.unexpected()
		return nil
	}
	s.pos++
	if !utf8.Valid(s.body[start:s.pos]) { // only strings can have bytes beyond ASCII
		s.invalidUTF8(start)
	}
	return text
}

// invalidUTF8 makes an error of the first byte from start on that is not UTF-8.
func (s *scanner) invalidUTF8(start int) {
	for s.pos = start; ; {
		r, size := utf8.DecodeRune(s.body[s.pos:])
		if r == utf8.RuneError && size == 1 {
			s.unexpected()
			return
		}
		s.pos += size
	}
}

// skipPlain goes over the bytes of a string that stand for themselves, most of
// them eight at a time.
func (s *scanner) skipPlain() {
	const every = 0x0101010101010101
	for len(s.body)-s.pos >= 8 {
		text := binary.LittleEndian.Uint64(s.body[s.pos:])
		quote, backslash := text^'"'*every, text^'\\'*every
		// The highest bit of a byte is set if the byte is below 0x20, or 0 as a
		// quote and a backslash are now; those after the first may be wrong.
		special := ((text - 0x20*every) &^ text) | ((quote - every) &^ quote) | ((backslash - every) &^ backslash)
		if special &= 0x80 * every; special != 0 {
			s.pos += bits.TrailingZeros64(special) / 8
			return
		}
		s.pos += 8
	}
	for s.pos < len(s.body) && s.body[s.pos] >= ' ' && !s.at('"') && !s.at('\\') {
		s.pos++
	}
}

// unescape returns the string from the quote at start to the next byte, which ends
// it or is an error itself. It leaves the scanner at the first byte that is wrong.
func (s *scanner) unescape(start int) []byte {
	quoted := append(s.body[start:s.pos:s.pos], 0) // as wrong as the page's end
	copy(quoted[s.pos-start:], s.body[s.pos:])
	var text string
	var syntax *json.SyntaxError
	if errors.As(json.Unmarshal(quoted, &text), &syntax) {
		s.pos = start + int(syntax.Offset) - 1
		s.unexpected()
	}
	return []byte(text)
}

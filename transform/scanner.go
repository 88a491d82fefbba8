package transform

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of objects and lists, as encoding/json does.
const maxDepth = 10_000

// scanner reads JSON from a page. Each method skips white space
// and reads one thing. An error of the syntax is an [*Error] with the offset of
// the offending byte; an error of the value is not, and its caller locates it.
type scanner struct {
	body      []byte
	pos       int
	unescaped []byte         // the last text that had escapes
	unknown   map[string]int // skipped fields by path
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
	for s.pos < len(s.body) {
		switch c := s.body[s.pos]; c {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// unexpected is the error of a byte that cannot be where it is, or of the page's end.
func (s *scanner) unexpected() error {
	if s.pos == len(s.body) {
		return &Error{Image: -1, Offset: s.pos, Err: fmt.Errorf("the page is cut off after %d bytes: %w", s.pos, io.ErrUnexpectedEOF)}
	}
	r, size := utf8.DecodeRune(s.body[s.pos:])
	if r == utf8.RuneError && size == 1 {
		return &Error{Image: -1, Offset: s.pos, Err: errUTF8}
	}
	return &Error{Image: -1, Offset: s.pos, Err: fmt.Errorf("unexpected character %q", r)}
}

// wrongType is the error of a value that is not what is wanted.
func (s *scanner) wrongType(want string) error {
	var got string
	switch c := s.peek(); c {
	case '{':
		got = "an object"
	case '[':
		got = "an array"
	case '"':
		got = "a string"
	case 't', 'f':
		got = "a boolean"
	case 'n':
		got = "null"
	default:
		if c != '-' && !isDigit(c) {
			return s.unexpected()
		}
		got = "a number"
	}
	return fmt.Errorf("want %s, got %s", want, got)
}

// open reads the start of an object or array.
func (s *scanner) open(c byte, want string) error {
	if s.peek() != c {
		return s.wrongType(want)
	}
	s.pos++
	return nil
}

// more reads what stands before the n-th item of an object or array, or its end.
func (s *scanner) more(end byte, n int) (bool, error) {
	switch c := s.peek(); {
	case c == end:
		s.pos++
		return false, nil
	case n == 0:
		return true, nil
	case c == ',':
		s.pos++
		return true, nil
	}
	return false, s.unexpected()
}

// key reads the name of an object's n-th field, or the object's end. The name is
// valid until the next text is read.
func (s *scanner) key(n int) (name []byte, more bool, err error) {
	if more, err = s.more('}', n); !more || err != nil {
		return nil, false, err
	}
	if s.peek() != '"' {
		return nil, false, s.unexpected()
	}
	if name, err = s.text(); err != nil {
		return nil, false, err
	}
	if s.peek() != ':' {
		return nil, false, s.unexpected()
	}
	s.pos++
	return name, true, nil
}

// locateField names the field whose name follows start.
func (s *scanner) locateField(err error, name string, start int) error {
	return locate(err, name, start+bytes.IndexByte(s.body[start:], '"'))
}

// literal reads true, false or null.
func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.pos == len(s.body) || s.body[s.pos] != word[i] {
			return s.unexpected()
		}
		s.pos++
	}
	return nil
}

// skip reads a value inside depth objects and arrays and drops it.
func (s *scanner) skip(depth int) (err error) {
	switch c := s.peek(); c {
	case '"':
		_, err = s.text()
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		err = s.literal("null")
	case '{', '[':
		if depth == maxDepth {
			return errDepth
		}
		s.pos++
		for n := 0; ; n++ {
			var more bool
			if c == '{' {
				_, more, err = s.key(n)
			} else {
				more, err = s.more(']', n)
			}
			if !more || err != nil {
				return err
			}
			if err = s.skip(depth + 1); err != nil {
				return err
			}
		}
	default:
		_, err = s.number("a value")
	}
	return err
}

// skipUnknown skips the value of a field this version does not know, and counts it.
func (s *scanner) skipUnknown(path string, depth int) error {
	const limit = 100 // names; a page may hold any number of them
	if s.unknown == nil {
		s.unknown = map[string]int{}
	}
	if _, counted := s.unknown[path]; !counted && len(s.unknown) >= limit {
		path = "(others)"
	}
	s.unknown[path]++
	return s.skip(depth)
}

// text reads a string. Its bytes are a part of the page, or valid until the next
// text is read.
func (s *scanner) text() ([]byte, error) {
	if err := s.open('"', "a string"); err != nil {
		return nil, err
	}
	start := s.pos
	for {
		s.skipPlain()
		if s.pos == len(s.body) {
			return nil, s.unexpected()
		}
		switch c := s.body[s.pos]; {
		case c == '"':
			s.pos++
			return s.body[start : s.pos-1], s.validate(start)
		case c == '\\':
			return s.unescape(start)
		case c < ' ':
			return nil, s.unexpected()
		}
		s.pos++
	}
}

// validate checks the UTF-8 of a string that began at start and was just read.
// Only strings can have bytes beyond ASCII.
func (s *scanner) validate(start int) error {
	if utf8.Valid(s.body[start:s.pos]) {
		return nil
	}
	for s.pos = start; ; {
		r, size := utf8.DecodeRune(s.body[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return s.unexpected()
		}
		s.pos += size
	}
}

// skipPlain goes over the bytes of a string that stand for themselves, eight at a
// time, and may stop short of the first that does not.
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
}

// unescape reads on in a string that began at start, from its first backslash.
func (s *scanner) unescape(start int) (_ []byte, err error) {
	text := append(s.unescaped[:0], s.body[start:s.pos]...)
	for s.pos < len(s.body) {
		switch c := s.body[s.pos]; {
		case c == '"':
			s.pos++
			s.unescaped = text
			return text, s.validate(start)
		case c == '\\':
			s.pos++
			if text, err = s.escape(text); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.unexpected()
		default:
			text = append(text, c)
			s.pos++
		}
	}
	return nil, s.unexpected()
}

// escape reads what follows a backslash. Half of a surrogate pair becomes U+FFFD,
// as with encoding/json.
func (s *scanner) escape(text []byte) ([]byte, error) {
	if s.pos == len(s.body) {
		return nil, s.unexpected()
	}
	if i := strings.IndexByte(`"\/bfnrt`, s.body[s.pos]); i >= 0 {
		s.pos++
		return append(text, "\"\\/\b\f\n\r\t"[i]), nil
	}
	r, err := s.codeUnit()
	if err != nil {
		return nil, err
	}
	if utf16.IsSurrogate(r) && s.pos+1 < len(s.body) && s.body[s.pos] == '\\' && s.body[s.pos+1] == 'u' {
		start := s.pos
		s.pos++
		low, err := s.codeUnit()
		if err != nil {
			return nil, err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			s.pos = start // the second stands for itself, or begins a pair
		}
	}
	return utf8.AppendRune(text, r), nil
}

// codeUnit reads a "u" and four hexadecimal digits.
func (s *scanner) codeUnit() (r rune, err error) {
	if err := s.literal("u"); err != nil {
		return 0, err
	}
	for range 4 {
		if s.pos == len(s.body) {
			return 0, s.unexpected()
		}
		digit := strings.IndexByte("0123456789abcdef", s.body[s.pos])
		if digit < 0 {
			digit = strings.IndexByte("0123456789ABCDEF", s.body[s.pos])
		}
		if digit < 0 {
			return 0, s.unexpected()
		}
		r = r<<4 | rune(digit)
		s.pos++
	}
	return r, nil
}

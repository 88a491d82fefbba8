package transform

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/go-faster/jx"
)

// scanner reads JSON that it knows the shape of. Each method reads one thing,
// after white space, and reports whether it was there; if not, where the scanner
// is then means nothing. It reads no more than JSON allows, and less in places.
type scanner struct {
	b []byte
	i int
}

// state is what comes next in an object or list.
type state int

const (
	broken state = iota // something else
	closed              // its end, which was read
	open                // another field or item
)

// peek is the next byte that is no white space, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// literal reads a text that has to be there as it is, white space too.
func (s *scanner) literal(text string) bool {
	if len(s.b)-s.i < len(text) || string(s.b[s.i:s.i+len(text)]) != text {
		return false
	}
	s.i += len(text)
	return true
}

// ended reports whether nothing but white space is left.
func (s *scanner) ended() bool { return s.peek() == 0 && s.i == len(s.b) }

func (s *scanner) null() bool {
	if s.peek() != 'n' || len(s.b)-s.i < 4 || string(s.b[s.i:s.i+4]) != "null" {
		return false
	}
	s.i += 4
	return true
}

// item goes to the next item of a list; first, into the list. No list is null.
func (s *scanner) item(first bool) state {
	switch {
	case first && s.take('['):
		if s.take(']') {
			return closed
		}
		return open
	case first && s.null(), !first && s.take(']'):
		return closed
	case !first && s.take(','):
		return open
	}
	return broken
}

// key goes to the next field of an object and reads its name, which is a part of
// the page and has no escapes; first, into the object.
func (s *scanner) key(first bool) ([]byte, state) {
	switch {
	case first && !s.take('{'):
		return nil, broken
	case s.take('}'):
		return nil, closed
	case !first && !s.take(','), !s.take('"'):
		return nil, broken
	}
	start := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			key := s.b[start:s.i]
			s.i++
			if !s.take(':') {
				return nil, broken
			}
			return key, open
		case c == '\\', c < ' ':
			return nil, broken
		}
	}
	return nil, broken
}

// text reads a string, or null. Its bytes are a part of the page unless it has
// escapes.
func (s *scanner) text(into *text) bool {
	if !s.take('"') {
		return s.null()
	}
	start, escaped := s.i, false
	for ; s.i < len(s.b); s.i++ {
		s.plain()
		if s.i == len(s.b) {
			return false
		}
		switch c := s.b[s.i]; {
		case c == '"':
			*into = text{bytes: s.b[start:s.i], present: true}
			s.i++
			if escaped {
				var err error
				into.bytes, err = jx.DecodeBytes(s.b[start-1 : s.i]).StrBytes()
				return err == nil
			}
			return true
		case c == '\\':
			escaped = true
			s.i++ // what is behind it may be a quote
		case c < ' ':
			return false
		}
	}
	return false
}

// plain goes over the bytes of a string that stand for themselves, eight at a time,
// and may stop short of the first that does not.
func (s *scanner) plain() {
	const every = 0x0101010101010101
	for len(s.b)-s.i >= 8 {
		text := binary.LittleEndian.Uint64(s.b[s.i:])
		quote, backslash := text^'"'*every, text^'\\'*every
		// The highest bit of a byte is set if the byte is below 0x20, or 0 as a
		// quote and a backslash are now; those behind the first may be wrong.
		special := ((text - 0x20*every) &^ text) | ((quote - every) &^ quote) | ((backslash - every) &^ backslash)
		if special &= 0x80 * every; special != 0 {
			s.i += bits.TrailingZeros64(special) / 8
			return
		}
		s.i += 8
	}
}

// fixed reads a string of n bytes without escapes, which its reader has to check.
func (s *scanner) fixed(n int) ([]byte, bool) {
	if !s.take('"') || len(s.b)-s.i <= n || s.b[s.i+n] != '"' {
		return nil, false
	}
	s.i += n + 1
	return s.b[s.i-n-1 : s.i-1], true
}

// digits reads digits into a number, which overflows beyond 19 of them.
func (s *scanner) digits(into uint64) uint64 {
	for len(s.b)-s.i >= 8 {
		value, n := leadingDigits(binary.LittleEndian.Uint64(s.b[s.i:]))
		into = into*tens[n] + value
		if s.i += n; n < 8 {
			return into
		}
	}
	for ; s.i < len(s.b) && s.b[s.i]-'0' <= 9; s.i++ {
		into = into*10 + uint64(s.b[s.i]-'0')
	}
	return into
}

var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// leadingDigits is the number that 8 bytes of text begin with, the first of them
// the lowest, and how many digits it has. It adds up pairs of digits, then pairs
// of those, then the two halves, each in one multiplication (Lemire, Quickly
// parsing eight digits, 2018).
func leadingDigits(text uint64) (value uint64, n int) {
	const every = 0x0101010101010101
	digits := text - '0'*every
	// The highest bit of a byte is set if it is no digit; what is carried from
	// one byte to the next comes from one that is none already.
	others := (digits | (text + (0x7f-'9')*every)) & (0x80 * every)
	n = bits.TrailingZeros64(others) / 8
	digits <<= 64 - 8*n // as if zeros came before them
	digits = digits*10 + digits>>8
	const even = 0x000000FF000000FF
	return ((digits&even)*(100+1e6<<32) + (digits>>16&even)*(1+1e4<<32)) >> 32, n
}

// integer reads a whole number from 0 to 999,999,999.
func (s *scanner) integer() (int32, bool) {
	c := s.peek()
	start := s.i
	n := s.digits(0)
	length := s.i - start
	if length == 0 || length > 9 || (c == '0' && length > 1) {
		return 0, false
	}
	if s.i < len(s.b) {
		switch s.b[s.i] {
		case '.', 'e', 'E':
			return 0, false
		}
	}
	return int32(n), true
}

// exactPowers are the powers of ten that a double holds exactly.
var exactPowers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// exactDigits is how many digits a double holds exactly, whatever they are.
const exactDigits = 15

// fraction reads a number from 0 to 1 of up to 15 digits, as float does, if it is
// here and well inside of the page: nearly all numbers are such.
func (s *scanner) fraction() (float64, bool) {
	if len(s.b)-s.i < 20 || s.b[s.i] != '0' || s.b[s.i+1] != '.' {
		return 0, false
	}
	mantissa, digits := leadingDigits(binary.LittleEndian.Uint64(s.b[s.i+2:]))
	if digits == 8 {
		more, n := leadingDigits(binary.LittleEndian.Uint64(s.b[s.i+10:]))
		mantissa, digits = mantissa*tens[n]+more, 8+n
	}
	if digits == 0 || digits > exactDigits || s.b[s.i+2+digits]|0x20 == 'e' {
		return 0, false
	}
	s.i += 2 + digits
	return float64(mantissa) / exactPowers[digits], true
}

// float reads a number to the last digit of the double. One of up to 15 digits
// times or over a power of ten up to 1e22 is two exact doubles with one rounding
// between them (Clinger, How to Read Floating Point Numbers Accurately, 1990); the
// service's have 7 to 9. Others are strconv's.
func (s *scanner) float() (float64, bool) {
	if value, ok := s.fraction(); ok {
		return value, true
	}
	negative := s.peek() == '-'
	start := s.i
	if negative {
		s.i++
	}
	first := s.i
	mantissa := s.digits(0)
	digits := s.i - first
	if digits == 0 || (digits > 1 && s.b[first] == '0') {
		return 0, false
	}
	exponent := 0
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		point := s.i
		mantissa = s.digits(mantissa)
		if s.i == point {
			return 0, false
		}
		digits += s.i - point
		exponent = point - s.i
	}
	if s.i < len(s.b) && s.b[s.i]|0x20 == 'e' {
		s.i++
		minus := false
		if s.i < len(s.b) && (s.b[s.i] == '-' || s.b[s.i] == '+') {
			minus = s.b[s.i] == '-'
			s.i++
		}
		from := s.i
		e := int(s.digits(0))
		if length := s.i - from; length == 0 || length > 4 {
			return 0, false
		}
		if minus {
			e = -e
		}
		exponent += e
	}
	var value float64
	switch most := len(exactPowers) - 1; {
	case digits <= exactDigits && 0 <= exponent && exponent <= most:
		value = float64(mantissa) * exactPowers[exponent]
	case digits <= exactDigits && -most <= exponent && exponent < 0:
		value = float64(mantissa) / exactPowers[-exponent]
	default:
		number := s.b[start:s.i]
		value, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(number), len(number)), 64)
		return value, err == nil && !math.IsInf(value, 0)
	}
	if negative {
		value = -value
	}
	return value, true
}

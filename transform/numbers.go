package transform

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

func isDigit(c byte) bool { return c-'0' <= 9 }

// atDigit reports whether the very next byte is a digit.
func (s *scanner) atDigit() bool { return s.pos < len(s.body) && isDigit(s.body[s.pos]) }

// digits reads digits, at least one.
func (s *scanner) digits() {
	if !s.atDigit() {
		s.unexpected()
	}
	for s.atDigit() {
		s.pos++
	}
}

// number reads a number and returns its text.
func (s *scanner) number(want string) []byte {
	if s.peek() != '-' && !s.atDigit() {
		s.wrongType(want)
		return nil
	}
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if !s.at('0') {
		s.digits()
	} else if s.pos++; s.atDigit() {
		s.unexpected()
	}
	if s.at('.') {
		s.pos++
		s.digits()
	}
	if s.at('e') || s.at('E') {
		s.pos++
		if s.at('-') || s.at('+') {
			s.pos++
		}
		s.digits()
	}
	return s.body[start:s.pos]
}

// pixels reads a whole number that is not negative.
func (s *scanner) pixels() int32 {
	number := s.number("a number")
	value, err := strconv.ParseInt(string(number), 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		err = fmt.Errorf("%s does not fit 32 bits", clip(number))
	case err != nil:
		err = fmt.Errorf("%s is not a whole number", clip(number))
	case value < 0:
		err = errNegative
	}
	s.check(err)
	return int32(value)
}

// Powers of ten that a double holds exactly, as it does any number of 15 digits.
var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// double reads a number to the last bit of a double.
func (s *scanner) double() float64 {
	if value, ok := s.shortDouble(); ok {
		return value
	}
	number := s.number("a number")
	value, err := strconv.ParseFloat(string(number), 64)
	if err != nil {
		s.check(fmt.Errorf("%s does not fit a double", clip(number)))
	}
	return value
}

// probability reads a number from 0 to 1. Any other is an error, not a null: the figures of
// its iteration would silently leave it out.
func (s *scanner) probability() float64 {
	value := s.double()
	if !(value >= 0 && value <= 1) {
		s.check(fmt.Errorf("%v is not a probability, which is 0 to 1", value))
	}
	return value
}

// maxFraction is how many times an image's size a side of a box may be, or its distance
// from the image. The service's are below 2.
const maxFraction = 1000

// fraction reads a side of a box, as a fraction of the image's. The product of two that
// are not near the image overflows, which ends BigQuery's queries.
func (s *scanner) fraction() float64 {
	value := s.double()
	if !(math.Abs(value) <= maxFraction) {
		s.check(fmt.Errorf("%v is not a fraction of the image's size, which is at most %d", value, maxFraction))
	}
	return value
}

// shortDouble reads a number such as 0.108991474 or 8.79471951E-13 if it is next and
// well inside the page: nearly all numbers are such. It is the quotient of two exact
// doubles, which is rounded once (Clinger, How to Read Floating Point Numbers
// Accurately, 1990).
func (s *scanner) shortDouble() (float64, bool) {
	if len(s.body)-s.pos < 24 || s.body[s.pos+1] != '.' || !isDigit(s.body[s.pos]) {
		return 0, false
	}
	start, digits := leadingDigits(binary.LittleEndian.Uint64(s.body[s.pos+2:]))
	value := float64(start)
	if digits == 8 {
		end, n := leadingDigits(binary.LittleEndian.Uint64(s.body[s.pos+10:]))
		value, digits = value*tens[n]+float64(end), 8+n
	}
	if digits == 0 || digits > 14 {
		return 0, false
	}
	if first := s.body[s.pos]; first != '0' {
		value += float64(first-'0') * tens[digits]
	}
	end, exponent := s.pos+2+digits, digits
	if s.body[end]|0x20 == 'e' {
		e := s.body[end:]
		if e[1] != '-' || !isDigit(e[2]) || !isDigit(e[3]) || isDigit(e[4]) {
			return 0, false
		}
		exponent += int(e[2]-'0')*10 + int(e[3]-'0')
		end += 4
		if exponent >= len(tens) {
			return 0, false
		}
	}
	s.pos = end
	return value / tens[exponent], true
}

// leadingDigits returns the number that 8 bytes of text begin with, the first of
// them the lowest, and how many digits it has. It adds up pairs of digits, then
// pairs of those, then the two halves, each in one multiplication (Lemire, Quickly
// parsing eight digits, 2018).
func leadingDigits(text uint64) (value uint32, n int) {
	const every = 0x0101010101010101
	digits := text - '0'*every
	// The highest bit of a byte is set if it is no digit. A carry into the next
	// byte comes only from a byte that is no digit itself.
	others := (digits | (text + (0x7f-'9')*every)) & (0x80 * every)
	n = bits.TrailingZeros64(others) / 8
	digits <<= 64 - 8*n // as if zeros came before them
	digits = digits*10 + digits>>8
	const even = 0x000000FF000000FF
	return uint32(((digits&even)*(100+1e6<<32) + (digits>>16&even)*(1+1e4<<32)) >> 32), n
}

package tablefile

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// plainValues encodes the values of one column chunk and keeps their minimum and
// maximum.
type plainValues interface {
	// step returns how many rows go into a page of so many bytes together or not
	// at all.
	step(page int) int
	// size returns the maximum of bytes that the values of s take.
	size(s span) int
	// append appends the values of s, without nulls.
	append(dst []byte, s span) []byte
	// bounds sets the minimum and the maximum, if there are any.
	bounds(*metadata.EncodedStatistics)
}

func newPlainValues(a arrow.Array) (plainValues, error) {
	switch a.(type) {
	case *array.Float64:
		return &numbers[float64]{of: func(a arrow.Array) []float64 { return a.(*array.Float64).Float64Values() }}, nil
	case *array.Int32:
		return &numbers[int32]{of: func(a arrow.Array) []int32 { return a.(*array.Int32).Int32Values() }}, nil
	case *array.Int64:
		return &numbers[int64]{of: func(a arrow.Array) []int64 { return a.(*array.Int64).Int64Values() }}, nil
	case *array.Timestamp:
		return &numbers[arrow.Timestamp]{of: func(a arrow.Array) []arrow.Timestamp { return a.(*array.Timestamp).TimestampValues() }}, nil
	case *array.String, *array.Dictionary:
		return &stringValues{}, nil
	}
	return nil, fmt.Errorf("no pages are made of type %s", a.DataType())
}

type numbers[T int32 | int64 | float64 | arrow.Timestamp] struct {
	of       func(arrow.Array) []T
	min, max T
	observed bool
}

func (n *numbers[T]) step(page int) int { return max(1, page/len(arrow.GetBytes([]T{0}))) }

func (n *numbers[T]) size(s span) int { return len(arrow.GetBytes(n.of(s.of)[s.from:s.to])) }

func (n *numbers[T]) append(dst []byte, s span) []byte {
	values := n.of(s.of)[s.from:s.to]
	if s.of.NullN() == 0 {
		n.observe(values)
		return append(dst, arrow.GetBytes(values)...)
	}
	for i := range values {
		if s.of.IsValid(s.from + i) {
			n.observe(values[i : i+1])
			dst = append(dst, arrow.GetBytes(values[i:i+1])...)
		}
	}
	return dst
}

func (n *numbers[T]) observe(values []T) {
	for !n.observed && len(values) > 0 {
		if v := values[0]; v == v { // NaN is neither
			n.min, n.max, n.observed = v, v, true
		}
		values = values[1:]
	}
	lo, hi := n.min, n.max // in registers
	for _, v := range values {
		if v < lo {
			lo = v
		}
		if v > hi {
			hi = v
		}
	}
	n.min, n.max = lo, hi
}

func (n *numbers[T]) bounds(to *metadata.EncodedStatistics) {
	if !n.observed {
		return
	}
	lower, upper := []T{n.min}, []T{n.max}
	// The format wants zeros to cover both signs: a comparison does not tell them apart.
	if zero, ok := any(lower).([]float64); ok && zero[0] == 0 {
		zero[0] = math.Copysign(0, -1)
	}
	if zero, ok := any(upper).([]float64); ok && zero[0] == 0 {
		zero[0] = 0
	}
	to.Signed = true
	to.SetMin(arrow.GetBytes(lower)).SetMax(arrow.GetBytes(upper))
}

// stringValues are strings, plain or as a dictionary.
type stringValues struct {
	of      arrow.Array // the array that was set last
	strings *array.String
	indices []int32 // nil if the strings are plain

	min, max string // parts of the arrays
	observed bool
}

func (s *stringValues) step(int) int { return 64 }

// use makes value return the values of an array.
func (s *stringValues) use(at arrow.Array) {
	if s.of == at {
		return
	}
	s.of, s.indices = at, nil
	if d, ok := at.(*array.Dictionary); ok {
		s.strings, s.indices = d.Dictionary().(*array.String), d.Indices().(*array.Int32).Int32Values()
	} else {
		s.strings = at.(*array.String)
	}
}

// value returns the value of a row, which must not be null.
func (s *stringValues) value(row int) string {
	if s.indices == nil {
		return s.strings.Value(row)
	}
	return s.strings.Value(int(s.indices[row]))
}

func (s *stringValues) size(rows span) int {
	s.use(rows.of)
	nulls := rows.of.NullN() > 0
	n := 4 * (rows.to - rows.from)
	for i := rows.from; i < rows.to; i++ {
		if !nulls || rows.of.IsValid(i) {
			n += len(s.value(i))
		}
	}
	return n
}

func (s *stringValues) append(dst []byte, rows span) []byte {
	s.use(rows.of)
	nulls := rows.of.NullN() > 0
	for i := rows.from; i < rows.to; i++ {
		if !nulls || rows.of.IsValid(i) {
			v := s.value(i)
			dst = appendString(dst, v)
			s.observe(v)
		}
	}
	return dst
}

func (s *stringValues) observe(v string) {
	switch {
	case !s.observed:
		s.min, s.max, s.observed = v, v, true
	case v < s.min:
		s.min = v
	case v > s.max:
		s.max = v
	}
}

func (s *stringValues) bounds(to *metadata.EncodedStatistics) {
	if s.observed {
		to.SetMin([]byte(s.min)).SetMax([]byte(s.max))
	}
}

func appendString(dst []byte, v string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(v))), v...)
}

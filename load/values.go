package load

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/parquet/metadata"
)

// plainValues writes the values of one column chunk as they are, and remembers the
// least and the greatest.
type plainValues interface {
	// step is how many rows are looked at together: all of them come into a page
	// of so many bytes, or none.
	step(page int) int
	// size is how many bytes the values of s take at most.
	size(s span) int
	// append appends the values of s, without its nulls.
	append(dst []byte, s span) []byte
	// bounds sets the least and the greatest value.
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
		return &texts{}, nil
	}
	return nil, fmt.Errorf("no pages are made of type %s", a.DataType())
}

type numbers[T int32 | int64 | float64 | arrow.Timestamp] struct {
	of           func(arrow.Array) []T
	least, great T
	met          bool
}

func (n *numbers[T]) step(page int) int { return max(1, page/len(arrow.GetBytes([]T{0}))) }

func (n *numbers[T]) size(s span) int { return len(arrow.GetBytes(n.of(s.of)[s.from:s.to])) }

func (n *numbers[T]) append(dst []byte, s span) []byte {
	values := n.of(s.of)[s.from:s.to]
	if s.of.NullN() == 0 {
		n.meet(values)
		return append(dst, arrow.GetBytes(values)...)
	}
	for i := range values {
		if s.of.IsValid(s.from + i) {
			n.meet(values[i : i+1])
			dst = append(dst, arrow.GetBytes(values[i:i+1])...)
		}
	}
	return dst
}

func (n *numbers[T]) meet(values []T) {
	for !n.met && len(values) > 0 {
		if v := values[0]; v == v { // what is no number is neither
			n.least, n.great, n.met = v, v, true
		}
		values = values[1:]
	}
	least, great := n.least, n.great
	for _, v := range values {
		if v < least {
			least = v
		}
		if v > great {
			great = v
		}
	}
	n.least, n.great = least, great
}

func (n *numbers[T]) bounds(to *metadata.EncodedStatistics) {
	if !n.met {
		return
	}
	least, great := []T{n.least}, []T{n.great}
	if zero, ok := any(least).([]float64); ok && zero[0] == 0 {
		zero[0] = math.Copysign(0, -1) // for which the format has rules: it may have met either
	}
	if zero, ok := any(great).([]float64); ok && zero[0] == 0 {
		zero[0] = 0
	}
	to.Signed = true
	to.SetMin(arrow.GetBytes(least)).SetMax(arrow.GetBytes(great))
}

// texts are strings, or a dictionary of them.
type texts struct {
	of     arrow.Array // what is looked at: words by their places, or all of them
	words  *array.String
	places []int32

	least, great string // parts of the arrays
	met          bool
}

func (t *texts) step(int) int { return 64 }

// look makes value return those of an array.
func (t *texts) look(at arrow.Array) {
	if t.of == at {
		return
	}
	t.of, t.places = at, nil
	if d, ok := at.(*array.Dictionary); ok {
		t.words, t.places = d.Dictionary().(*array.String), d.Indices().(*array.Int32).Int32Values()
	} else {
		t.words = at.(*array.String)
	}
}

// value is that of a row, which must not be null.
func (t *texts) value(row int) string {
	if t.places == nil {
		return t.words.Value(row)
	}
	return t.words.Value(int(t.places[row]))
}

func (t *texts) size(s span) int {
	t.look(s.of)
	nulls := s.of.NullN() > 0
	n := 4 * (s.to - s.from)
	for i := s.from; i < s.to; i++ {
		if !nulls || s.of.IsValid(i) {
			n += len(t.value(i))
		}
	}
	return n
}

func (t *texts) append(dst []byte, s span) []byte {
	t.look(s.of)
	nulls := s.of.NullN() > 0
	for i := s.from; i < s.to; i++ {
		if !nulls || s.of.IsValid(i) {
			v := t.value(i)
			dst = appendText(dst, v)
			t.meet(v)
		}
	}
	return dst
}

func (t *texts) meet(v string) {
	switch {
	case !t.met:
		t.least, t.great, t.met = v, v, true
	case v < t.least:
		t.least = v
	case v > t.great:
		t.great = v
	}
}

func (t *texts) bounds(to *metadata.EncodedStatistics) {
	if t.met {
		to.SetMin([]byte(t.least)).SetMax([]byte(t.great))
	}
}

func appendText(dst []byte, v string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(v))), v...)
}

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
	for _, v := range values {
		switch {
		case v != v: // is no number, and is neither
		case !n.met:
			n.least, n.great, n.met = v, v, true
		default:
			n.least, n.great = min(n.least, v), max(n.great, v)
		}
	}
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
	least, great string // parts of the arrays
	met          bool
}

func (t *texts) step(int) int { return 64 }

func (t *texts) size(s span) int {
	n := 4 * (s.to - s.from)
	for i := s.from; i < s.to; i++ {
		n += len(textAt(s.of, i))
	}
	return n
}

func (t *texts) append(dst []byte, s span) []byte {
	for i := s.from; i < s.to; i++ {
		if s.of.IsNull(i) {
			continue
		}
		v := textAt(s.of, i)
		dst = appendText(dst, v)
		if !t.met {
			t.least, t.great, t.met = v, v, true
		}
		t.least, t.great = min(t.least, v), max(t.great, v)
	}
	return dst
}

func (t *texts) bounds(to *metadata.EncodedStatistics) {
	if t.met {
		to.SetMin([]byte(t.least)).SetMax([]byte(t.great))
	}
}

func textAt(a arrow.Array, i int) string {
	if d, ok := a.(*array.Dictionary); ok {
		if d.IsNull(i) {
			return ""
		}
		return d.Dictionary().(*array.String).Value(d.GetValueIndex(i))
	}
	return a.(*array.String).Value(i)
}

func appendText(dst []byte, v string) []byte {
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(v))), v...)
}

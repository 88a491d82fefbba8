package tablefile

import (
	"encoding/binary"
	"slices"
)

// appendHybrid appends values of width bits, 32 at most, as Parquet's hybrid of runs
// and bit-packed groups: eight equal values and the equal ones after them are a run,
// the values between runs are packed in groups of eight
// (https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE).
func appendHybrid(dst []byte, values []uint32, width int) []byte {
	packed := 0 // where the values after the last run begin
	for i := 0; i+8 <= len(values); {
		end := i
		for end < len(values) && values[end] == values[i] {
			end++
		}
		if end-i < 8 {
			i += 8
			continue
		}
		dst = appendPacked(dst, values[packed:i], width)
		dst = appendRun(dst, end-i, values[i], width)
		packed, i = end, end
	}
	return appendPacked(dst, values[packed:], width)
}

// appendRun appends a run of n times the same value.
func appendRun(dst []byte, n int, value uint32, width int) []byte {
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for ; width > 0; width -= 8 {
		dst = append(dst, byte(value))
		value >>= 8
	}
	return dst
}

// appendPacked appends groups of eight values, the last one padded with zeros.
func appendPacked(dst []byte, values []uint32, width int) []byte {
	if len(values) == 0 {
		return dst
	}
	groups := (len(values) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	begin, end := len(dst), len(dst)+groups*width
	dst = slices.Grow(dst, groups*width+8)[:end+8] // whole words are written, the last one beyond the end
	to := dst[begin:]
	var bits uint64
	n := 0
	for _, v := range values {
		bits |= uint64(v) << n
		if n += width; n >= 32 {
			binary.LittleEndian.PutUint32(to, uint32(bits))
			to = to[4:]
			bits >>= 32
			n -= 32
		}
	}
	clear(to)
	binary.LittleEndian.PutUint64(to, bits)
	return dst[:end]
}

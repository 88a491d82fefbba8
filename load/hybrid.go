package load

import "encoding/binary"

// appendHybrid appends values of width bits, 32 at most, as Parquet's hybrid of runs
// and groups: eight or more of the same are a run; what is between runs is packed, in
// groups of eight (https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE).
func appendHybrid(dst []byte, values []uint32, width int) []byte {
	packed := 0 // where the values begin that are in no run
	for i := 0; i < len(values); {
		end := i + 1
		for end < len(values) && values[end] == values[i] {
			end++
		}
		// The groups before a run are full: it gives of its own.
		begin := i + (packed-i)&7
		if end-begin >= 8 {
			dst = appendPacked(dst, values[packed:begin], width)
			dst = appendRun(dst, end-begin, values[i], width)
			packed = end
		}
		i = end
	}
	return appendPacked(dst, values[packed:], width)
}

// appendRun appends n times the same value.
func appendRun(dst []byte, n int, value uint32, width int) []byte {
	dst = binary.AppendUvarint(dst, uint64(n)<<1)
	for ; width > 0; width -= 8 {
		dst = append(dst, byte(value))
		value >>= 8
	}
	return dst
}

// appendPacked appends groups of eight values, the last one filled up with zeros.
func appendPacked(dst []byte, values []uint32, width int) []byte {
	if len(values) == 0 {
		return dst
	}
	groups := (len(values) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	end := len(dst) + groups*width
	var bits uint64
	n := 0
	for _, v := range values {
		bits |= uint64(v) << n
		if n += width; n >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(bits))
			bits >>= 32
			n -= 32
		}
	}
	for ; len(dst) < end; bits >>= 8 {
		dst = append(dst, byte(bits))
	}
	return dst
}

package load

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/huff0"
	"github.com/klauspost/compress/zstd"
)

// pageCodec is zstd with a window of a page; Arrow's own keeps encoders with windows
// of many times that, each of 16 MiB. Pages in which zstd finds next to nothing to
// repeat, as are those of doubles, it codes byte by byte instead: the library's
// encoder leaves such pages as they are if that saves less than a sixteenth, and
// looks for repetitions first.
type pageCodec struct{ compress.Codec }

var pageEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithZeroFrames(true), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(zstdLevel)),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(dataPageSize), zstd.WithAllLitEntropyCompression(true))
})

func init() {
	codec, err := compress.GetCodec(compress.Codecs.Zstd)
	if err != nil {
		panic(err)
	}
	compress.RegisterCodec(compress.Codecs.Zstd, pageCodec{codec})
}

// sampleBytes of a page, from its middle, tell whether anything repeats in it: not
// if zstd leaves more than repeatsLittle percent of them.
const (
	sampleBytes   = 8 << 10
	repeatsLittle = 90
)

// EncodeLevel compresses a page; the level is always ours.
func (c pageCodec) EncodeLevel(dst, src []byte, _ int) []byte {
	encoder, err := pageEncoder()
	if err != nil {
		panic(err) // of the options above, which are constants
	}
	if len(src) >= 4*sampleBytes {
		sample := src[len(src)/2:][:sampleBytes]
		dst = encoder.EncodeAll(sample, dst[:0])
		if len(dst) > len(sample)*repeatsLittle/100 {
			return appendLiterals(dst[:0], src)
		}
	}
	return encoder.EncodeAll(src, dst[:0])
}

// Of a zstd frame (RFC 8878, section 3.1.1).
const (
	frameMagic  = 0xFD2FB528
	frameHeader = 0xA0 // a size of 4 bytes, and no window but the content itself

	rawBlock        = 0
	rleBlock        = 1
	compressedBlock = 2

	compressedLiterals = 2 | 3<<2 // in four streams, with sizes of 18 bits
	literalsHeaderSize = 5

	// literalsBlock is how much of a page has a code of its own.
	literalsBlock = 128 << 10
)

var scratches = sync.Pool{New: func() any { return &huff0.Scratch{Reuse: huff0.ReusePolicyNone} }}

// appendLiterals appends a frame that codes each byte by itself, with no sequences.
func appendLiterals(dst, src []byte) []byte {
	scratch := scratches.Get().(*huff0.Scratch)
	defer scratches.Put(scratch)
	dst = binary.LittleEndian.AppendUint32(dst, frameMagic)
	dst = append(dst, frameHeader)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(src)))
	for last := false; !last; {
		block := src[:min(len(src), literalsBlock)]
		src = src[len(block):]
		last = len(src) == 0
		dst = appendBlock(dst, block, last, scratch)
	}
	return dst
}

func appendBlock(dst, block []byte, last bool, scratch *huff0.Scratch) []byte {
	var coded []byte
	err := huff0.ErrIncompressible
	if len(block) > 0 {
		coded, _, err = huff0.Compress4X(block, scratch)
	}
	switch size := literalsHeaderSize + len(coded) + 1; {
	case errors.Is(err, huff0.ErrUseRLE):
		return append(appendBlockHeader(dst, rleBlock, len(block), last), block[0])
	case err != nil || size >= len(block):
		return append(appendBlockHeader(dst, rawBlock, len(block), last), block...)
	default:
		dst = appendBlockHeader(dst, compressedBlock, size, last)
		header := uint64(compressedLiterals) | uint64(len(block))<<4 | uint64(len(coded))<<22
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16), byte(header>>24), byte(header>>32))
		return append(append(dst, coded...), 0) // no sequences
	}
}

func appendBlockHeader(dst []byte, kind, size int, last bool) []byte {
	header := kind<<1 | size<<3
	if last {
		header |= 1
	}
	return append(dst, byte(header), byte(header>>8), byte(header>>16))
}

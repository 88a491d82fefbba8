package tablefile

import (
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// pageEncoder returns the encoder that all files share. Its window is a page: Arrow's
// encoders have windows of megabytes, which take 16 MiB of memory each.
var pageEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithZeroFrames(true), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(zstdLevel)),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(dataPageSize), zstd.WithAllLitEntropyCompression(true))
})

// boundedZstd unpacks pages, of which none has more than maxPage bytes: a page of a
// kilobyte can unpack to gigabytes, whatever its header says.
type boundedZstd struct{ compress.Codec }

var pageDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderMaxMemory(maxPage))
})

// DecodeWithError unpacks src.
func (boundedZstd) DecodeWithError(dst, src []byte) ([]byte, error) {
	decoder, err := pageDecoder()
	if err != nil {
		return nil, err
	}
	return decoder.DecodeAll(src, dst[:0])
}

// Decode is [boundedZstd.DecodeWithError] for callers that recover from a panic.
func (z boundedZstd) Decode(dst, src []byte) []byte {
	body, err := z.DecodeWithError(dst, src)
	if err != nil {
		panic(err)
	}
	return body
}

func init() {
	if codec, err := compress.GetCodec(compress.Codecs.Zstd); err == nil {
		compress.RegisterCodec(compress.Codecs.Zstd, boundedZstd{codec})
	}
}

package load

import (
	"sync"

	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/klauspost/compress/zstd"
)

// pageCodec is zstd with a window of a page. Arrow's own keeps encoders with windows
// of many times that, each of 16 MiB.
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

// EncodeLevel compresses a page; the level is always ours.
func (c pageCodec) EncodeLevel(dst, src []byte, _ int) []byte {
	encoder, err := pageEncoder()
	if err != nil {
		panic(err) // of the options above, which are constants
	}
	return encoder.EncodeAll(src, dst[:0])
}

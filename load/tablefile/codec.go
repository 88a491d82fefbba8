package tablefile

import (
	"sync"

	"github.com/klauspost/compress/zstd"
)

// pageEncoder returns the encoder that all files share. Its window is a page: Arrow's
// encoders have windows of megabytes, which take 16 MiB of memory each.
var pageEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithZeroFrames(true), zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(zstdLevel)),
		zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(dataPageSize), zstd.WithAllLitEntropyCompression(true))
})

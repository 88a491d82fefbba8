package extract

import (
	"bytes"
	"io"
	"slices"
)

// buffers is a pool of buffers for pages, which are all of about the same size.
type buffers chan []byte

const (
	maxIdle     = 16       // buffers
	maxKeptSize = 16 << 20 // of one buffer, in bytes
)

// pageBody is a response body that was read to its end.
type pageBody struct {
	*bytes.Reader
	bytes []byte
}

func (*pageBody) Close() error { return nil }

// read reads r to its end. expected is its size if known, else 0 or less.
func (b buffers) read(r io.Reader, expected int64) (*pageBody, error) {
	var buf []byte
	select {
	case idle := <-b:
		buf = idle[:0]
	default:
	}
	if expected > 0 && expected < maxKeptSize {
		buf = slices.Grow(buf, int(expected)+1) // one more, to see the end
	}
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return &pageBody{bytes.NewReader(buf), buf}, nil
		}
		if err != nil {
			b.put(buf)
			return nil, err
		}
	}
}

// put returns a buffer that is no longer read.
func (b buffers) put(buf []byte) {
	if cap(buf) <= maxKeptSize {
		select {
		case b <- buf:
		default: // there are enough
		}
	}
}

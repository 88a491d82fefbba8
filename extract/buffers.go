package extract

import (
	"bytes"
	"io"
	"slices"
	"sync"
)

// buffers are for pages, which are all of about one size: a buffer that has room
// for one is used for the next.
type buffers struct {
	mu   sync.Mutex
	idle [][]byte
}

const (
	mostIdle = 16       // buffers
	mostKept = 16 << 20 // bytes of one
)

// pageBody is an answer that was read to its end.
type pageBody struct {
	*bytes.Reader
	bytes []byte
}

func (*pageBody) Close() error { return nil }

// read reads to the end. expected is how many bytes there should be, if that is known.
func (b *buffers) read(r io.Reader, expected int64) (*pageBody, error) {
	buf := b.get()
	if expected > 0 && expected < mostKept {
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

func (b *buffers) get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := len(b.idle) - 1
	if last < 0 {
		return nil
	}
	buf := b.idle[last]
	b.idle = b.idle[:last]
	return buf[:0]
}

// put takes back a buffer that nobody reads any more.
func (b *buffers) put(buf []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.idle) < mostIdle && cap(buf) <= mostKept {
		b.idle = append(b.idle, buf)
	}
}

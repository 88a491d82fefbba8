package patience

import (
	"context"
	"fmt"
	"io"
)

// MaxAnswer bounds an answer, in bytes, and MaxFailure that of a failure, which is cut off
// there: the clients of stores and queues keep all of it in memory. A page of a listing
// has some megabytes.
const (
	MaxAnswer  = 64 << 20
	MaxFailure = 64 << 10
)

type streamKey struct{}

// Stream returns a context for requests whose answers a [Patience.Transport] does not bound:
// the caller does, or reads them as a stream.
func Stream(ctx context.Context) context.Context { return context.WithValue(ctx, streamKey{}, true) }

// Bounded is a body of at most so many bytes. One that has more fails there or, with cut,
// ends. The hint says in the error what the user can do; it may be empty.
func Bounded(body io.ReadCloser, limit int64, cut bool, hint string) io.ReadCloser {
	return &bounded{body, 0, limit, cut, hint}
}

type bounded struct {
	io.ReadCloser
	read, limit int64
	cut         bool
	hint        string
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.cut && b.read >= b.limit {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > b.limit && !b.cut {
		return 0, Final(fmt.Errorf("the answer is larger than %d MiB%s", b.limit>>20, b.hint))
	}
	return n, err
}

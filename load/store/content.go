package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Castagnoli is the table of every checksum here, the kind that Google Cloud
// Storage keeps.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// BytesSource is a [Source] in memory.
type BytesSource struct {
	*bytes.Reader
	crc uint32
}

// NewBytesSource returns a source of body, which must not change.
func NewBytesSource(body []byte) BytesSource {
	return BytesSource{bytes.NewReader(body), crc32.Checksum(body, Castagnoli)}
}

// CRC32C returns the checksum of the bytes.
func (s BytesSource) CRC32C() uint32 { return s.crc }

// Sum makes sure that an object is summed, by reading it if its store keeps no
// checksum.
func Sum(ctx context.Context, s Store, obj Object) (Object, error) {
	if obj.Summed {
		return obj, nil
	}
	r, err := s.Open(ctx, obj.Key)
	if err != nil {
		return Object{}, err
	}
	hash := crc32.New(Castagnoli)
	n, err := io.Copy(hash, &contextReader{ctx, r})
	if err := errors.Join(err, r.Close()); err != nil {
		return Object{}, fmt.Errorf("reading %s: %w", obj.Key, err)
	}
	obj.Size, obj.CRC32C, obj.Summed = n, hash.Sum32(), true
	return obj, nil
}

// Copy copies a whole source, and checks that it has the size and checksum that it
// claims.
func Copy(ctx context.Context, w io.Writer, src Source) error {
	hash := crc32.New(Castagnoli)
	n, err := io.Copy(io.MultiWriter(w, hash), &contextReader{ctx, io.NewSectionReader(src, 0, src.Size())})
	if err == nil && (n != src.Size() || hash.Sum32() != src.CRC32C()) {
		err = fmt.Errorf("the content to write is damaged: %d bytes, crc32c %08x; want %d, %08x", n, hash.Sum32(), src.Size(), src.CRC32C())
	}
	return err
}

// contextReader ends a copy when its context ends.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

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

// File is a [Source] in a temporary file, which goes away when it is closed.
type File struct {
	*TempFile
	size int64
	crc  uint32
}

// NewFile returns a source of what was written to a file.
func NewFile(f *TempFile, size int64, crc uint32) *File { return &File{f, size, crc} }

// Size returns the number of bytes.
func (f *File) Size() int64 { return f.size }

// CRC32C returns the checksum of the bytes.
func (f *File) CRC32C() uint32 { return f.crc }

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
	n, err := io.Copy(hash, &contextReader{ctx: ctx, r: io.LimitReader(r, MaxObject+1)})
	if err == nil && n > MaxObject {
		err = fmt.Errorf("%w behind %d bytes", ErrTooLong, int64(MaxObject))
	}
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
	n, err := io.Copy(io.MultiWriter(w, hash), &contextReader{ctx: ctx, r: io.NewSectionReader(src, 0, src.Size())})
	if err == nil && (n != src.Size() || hash.Sum32() != src.CRC32C()) {
		err = fmt.Errorf("the content to write is damaged: %d bytes, crc32c %08x; want %d, %08x", n, hash.Sum32(), src.Size(), src.CRC32C())
	}
	return err
}

// contextReader ends a copy when its context ends, and keeps the error of reading, so
// that it can be told from one of writing.
type contextReader struct {
	ctx     context.Context
	r       io.Reader
	arrived func(int) // called with each count of bytes; may be nil
	err     error
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	if n > 0 && r.arrived != nil {
		r.arrived(n)
	}
	return n, err
}

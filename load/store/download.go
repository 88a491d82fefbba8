package store

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
)

// UnreadableError means that an object does not exist, in which case it wraps
// fs.ErrNotExist, that it is no file ([ErrNotFile]), that it does not end ([ErrTooLong]),
// or that it could not be read. The last says nothing about the object: whoever asks again
// may get it.
type UnreadableError struct {
	err    error
	Opened bool // reading it broke off
}

func (e *UnreadableError) Error() string { return e.err.Error() }
func (e *UnreadableError) Unwrap() error { return e.err }

// Fetch copies an object to a temporary file in the folder dir and sums it. It has at most
// limit bytes, and never more than [MaxObject]. The error is an [*UnreadableError] if the
// object is the cause, rather than the folder or ctx. arrived, if it is not nil, is called
// with each count of bytes.
func Fetch(ctx context.Context, s Store, dir, key string, limit int64, arrived func(int)) (*File, error) {
	body, err := s.Open(ctx, key)
	if err != nil && ctx.Err() == nil {
		return nil, &UnreadableError{err: err}
	}
	if err != nil {
		return nil, err
	}
	file, err := NewTempFile(dir)
	if err != nil {
		return nil, errors.Join(copyFailed(dir, err), body.Close())
	}
	limit = min(limit, MaxObject)
	from := &contextReader{ctx: ctx, r: &atMost{r: body, key: key, left: limit, limit: limit}, arrived: arrived}
	sum := crc32.New(Castagnoli)
	size, err := io.Copy(io.MultiWriter(file, sum), from)
	closeErr := body.Close()
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), file.Close())
	case from.err != nil || err == nil && closeErr != nil:
		return nil, errors.Join(&UnreadableError{errors.Join(from.err, closeErr), true}, file.Close())
	case err != nil:
		return nil, errors.Join(copyFailed(dir, err), file.Close())
	}
	return NewFile(file, size, sum.Sum32()), nil
}

// atMost reads so many bytes, and fails if there are more.
type atMost struct {
	r           io.Reader
	key         string
	left, limit int64
}

func (a *atMost) Read(p []byte) (int, error) {
	if int64(len(p)) > a.left+1 {
		p = p[:a.left+1]
	}
	n, err := a.r.Read(p)
	if int64(n) > a.left {
		n = int(a.left)
		err = fmt.Errorf("reading %s: %w behind the %d bytes that it should have", a.key, ErrTooLong, a.limit)
	}
	a.left -= int64(n)
	return n, err
}

func copyFailed(dir string, err error) error {
	hint := FileHint(err, "temporary files")
	if hint != "" {
		hint += ", or use another folder for them"
	}
	return fmt.Errorf("copy it to %s: %w%s", dir, err, hint)
}

// IgnoreMissing returns nil for an error that wraps fs.ErrNotExist.
func IgnoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

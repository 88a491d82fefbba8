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
// fs.ErrNotExist, or that reading it broke off.
type UnreadableError struct{ err error }

func (e *UnreadableError) Error() string { return e.err.Error() }
func (e *UnreadableError) Unwrap() error { return e.err }

// Fetch copies an object to a temporary file in the folder dir and sums it. The error
// is an [*UnreadableError] if the object is the cause, rather than the folder or ctx.
// arrived, if it is not nil, is called with each count of bytes.
func Fetch(ctx context.Context, s Store, dir, key string, arrived func(int)) (*File, error) {
	body, err := s.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &UnreadableError{err}
	}
	if err != nil {
		return nil, err
	}
	file, err := NewTempFile(dir)
	if err != nil {
		return nil, errors.Join(copyFailed(dir, err), body.Close())
	}
	from := &contextReader{ctx: ctx, r: body, arrived: arrived}
	sum := crc32.New(Castagnoli)
	size, err := io.Copy(io.MultiWriter(file, sum), from)
	closeErr := body.Close()
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), file.Close())
	case from.err != nil || err == nil && closeErr != nil:
		return nil, errors.Join(&UnreadableError{errors.Join(from.err, closeErr)}, file.Close())
	case err != nil:
		return nil, errors.Join(copyFailed(dir, err), file.Close())
	}
	return NewFile(file, size, sum.Sum32()), nil
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

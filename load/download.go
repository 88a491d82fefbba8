package load

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"

	"github.com/cvexport/cvexport/load/store"
)

// copied is an object copied to a local file.
type copied struct {
	*store.TempFile
	size int64
	crc  uint32
}

var _ store.Source = (*copied)(nil)

func (f *copied) Size() int64    { return f.size }
func (f *copied) CRC32C() uint32 { return f.crc }

// unreadable is that there is no object, in which case it wraps fs.ErrNotExist,
// or that it broke off while it was read.
type unreadable struct{ err error }

func (e *unreadable) Error() string { return e.err.Error() }
func (e *unreadable) Unwrap() error { return e.err }

// download copies an object to a file in the folder dir and sums it. The error
// is an [*unreadable] if that is the object's fault. arrived, if it is not nil,
// is called with each count of bytes.
func download(ctx context.Context, s store.Store, dir, table, key string, arrived func(int)) (*copied, error) {
	body, err := s.Open(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &unreadable{err}
	}
	if err != nil {
		return nil, err
	}
	file, err := store.NewTempFile(dir, "cvexport-"+table+"-*.spool")
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	from := &objectReader{ctx: ctx, r: body, arrived: arrived}
	sum := crc32.New(store.Castagnoli)
	size, err := io.Copy(io.MultiWriter(file, sum), from)
	closeErr := body.Close()
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(ctx.Err(), file.Close())
	case from.err != nil || err == nil && closeErr != nil:
		return nil, errors.Join(&unreadable{errors.Join(from.err, closeErr)}, file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("copy it to %s: %w%s", dir, err, spoolHint(err)), file.Close())
	}
	return &copied{file, size, sum.Sum32()}, nil
}

// objectReader tells a failure to read from a failure to write the copy, and
// ends when ctx does.
type objectReader struct {
	ctx     context.Context
	r       io.Reader
	arrived func(int)
	err     error
}

func (r *objectReader) Read(p []byte) (int, error) {
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

package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
)

// checkFooter returns an error if DuckDB must not see a file's footer, and otherwise
// whether the file is dense. It may be another one by now than was listed.
func checkFooter(path string) (dense bool, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	rows, err := tablefile.CheckFooter(f, info.Size())
	return rows > max(fewRows, info.Size()/bytesPerRow), err
}

// copyFile copies a file to one that does not exist, and describes what it has copied.
func copyFile(from, to string) (copied fs.FileInfo, err error) {
	in, err := regular.Open(from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if copied, err = in.Stat(); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("copying the cache: %w%s", err, store.FileHint(err, "the cache"))
	}
	return copied, nil
}

// How long a process waits for another that refreshes the cache. If there is much to read,
// the other one has read a part of it already.
const (
	patience     = 3 * time.Second
	longPatience = time.Minute
)

// lock takes the lock, for a refresh that has that many files to read.
func (c *Cache) lock(ctx context.Context, todo int) (_ *flock.Flock, locked bool, err error) {
	wait := patience
	if todo > chunk {
		wait = longPatience
	}
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	lock, err := private.Lock(c.File + ".lock")
	if err != nil {
		return nil, false, err
	}
	locked, err = lock.TryLockContext(waiting, 20*time.Millisecond)
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return lock, locked, cmp.Or(ctx.Err(), err)
}

func (c *Cache) tempPrefix() string { return ".tmp-" + filepath.Base(c.File) + "-" }

// removeOld removes what refreshes that were killed have left. The lock is held, so none
// is under way.
func removeOld(folder, prefix string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			_ = os.RemoveAll(filepath.Join(folder, e.Name()))
		}
	}
}

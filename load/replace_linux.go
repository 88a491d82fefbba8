package load

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

var (
	errRead   = errors.New("a reader has it open")
	errCannot = errors.New("the file system does not tell who reads")
)

// replaceUnread gives the file temp the name of path, which has one, when nobody
// reads: DuckDB opens a file for its footer and again, by name, for its rows, which
// are elsewhere in a file that took its place meanwhile. With union_by_name it even
// closes it between the two, and through the whole of a query has only the first
// file of its glob open: so nobody may have any file below folder open. Who reads is
// told by leases (fcntl(2), F_SETLEASE), which also hold those up who come while the
// names change. After a while, and where there are no leases or they are not ours to
// take (NFS, another user's files), it is replaced under its readers.
func replaceUnread(ctx context.Context, temp, path, folder string, wait time.Duration) error {
	files, err := parquetFiles(ctx, folder, path)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil { // somebody else's folder, or one that is being removed
		return os.Rename(temp, path)
	}
	retry := time.NewTicker(2 * time.Millisecond)
	defer retry.Stop()
	for end := time.Now().Add(wait); ; {
		err := exchangeUnread(temp, path, files)
		if errors.Is(err, errCannot) || errors.Is(err, errRead) && time.Now().After(end) {
			return os.Rename(temp, path)
		}
		if !errors.Is(err, errRead) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-retry.C:
		}
	}
}

// parquetFiles are the paths of the objects in a folder, but for one.
func parquetFiles(ctx context.Context, folder, but string) (paths []string, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if path != but && entry.Type().IsRegular() && filepath.Ext(path) == ".parquet" {
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

// exchangeUnread puts temp in the place of path, or fails with errRead or errCannot
// and leaves both as they are.
func exchangeUnread(temp, path string, others []string) error {
	fresh, err := leased(temp) // nobody knows of it: if there is no lease to be had here, there are none
	if err != nil {
		return errCannot
	}
	defer fresh.Close()
	old, err := leased(path)
	if err != nil {
		return err
	}
	defer old.Close()
	// Who has begun to read path has it open, and cannot be here, or has closed it
	// again, and has another of the files open.
	for _, other := range others {
		f, err := leased(other)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		f.Close()
	}
	if awaited(old) {
		return errRead
	}
	if err := exchange(temp, path); err != nil {
		return err
	}
	// Whoever came in between has the old file, and shall find it by its name once
	// more, but not if another one has the new file already: one of the two would
	// be wrong either way.
	if awaited(old) && !awaited(fresh) && exchange(temp, path) == nil {
		return errRead
	}
	return os.Remove(temp)
}

// leased opens a file that nobody else has open. Until it is closed, or for as long
// as the system allows (/proc/sys/fs/lease-break-time, 45 seconds), whoever opens it
// waits. The error is errRead or errCannot.
func leased(path string) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, errCannot
	}
	if _, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, unix.EAGAIN) {
		return nil, errRead
	}
	return nil, errCannot
}

// awaited tells whether somebody waits for a leased file to be closed.
func awaited(f *os.File) bool {
	lease, err := unix.FcntlInt(f.Fd(), unix.F_GETLEASE, 0)
	return err == nil && lease != unix.F_WRLCK
}

// exchange gives two files each other's name, in one step.
func exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return errCannot
	}
	if err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

//go:build !windows

package local

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
)

// syncFolder brings a folder's entries to the disk, so that a rename survives a power
// cut.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// checkAccess returns an error if this process may not make files in a folder.
func checkAccess(folder string) error {
	const writeAndSearch = 2 | 1
	if err := syscall.Access(folder, writeAndSearch); err != nil {
		return &os.PathError{Op: "write to", Path: folder, Err: err}
	}
	return nil
}

// mark marks a file as one that is being written, until it is closed or this process
// ends.
func mark(f *os.File) error {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return &os.PathError{Op: "lock", Path: f.Name(), Err: err}
	}
	return nil
}

// removeUnmarked removes a file unless somebody is writing it, or this user may not write
// it and so cannot tell.
func removeUnmarked(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|private.NoFollow|regular.DontWait, 0) // NFS locks no file that is open for reading only
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if err := mark(f); errors.Is(err, syscall.EWOULDBLOCK) {
		return nil
	} else if err != nil {
		return err
	}
	return os.Remove(path)
}

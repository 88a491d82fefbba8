//go:build !windows

package load

import (
	"errors"
	"os"
	"syscall"
)

// syncFolder brings a folder's entries to disk, so that a rename survives a
// power cut.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// mayWrite is nil if this process may make files in a folder.
func mayWrite(folder string) error {
	const writeAndSearch = 2 | 1
	if err := syscall.Access(folder, writeAndSearch); err != nil {
		return &os.PathError{Op: "write to", Path: folder, Err: err}
	}
	return nil
}

//go:build linux || darwin

package local

import (
	"fmt"
	"io/fs"
	"syscall"
)

// checkFreeSpace returns an error if the disk of a folder has fewer bytes free. It is
// nil if the system does not say.
func checkFreeSpace(folder string, bytes int64) error {
	var disk syscall.Statfs_t
	if syscall.Statfs(folder, &disk) != nil || disk.Blocks == 0 {
		return nil
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < uint64(bytes) {
		return &fs.PathError{Op: "write to", Path: folder, Err: fmt.Errorf("%d bytes are free and %d needed: %w", free, bytes, syscall.ENOSPC)}
	}
	return nil
}

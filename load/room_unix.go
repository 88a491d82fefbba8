//go:build linux || darwin

package load

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// room is nil if the folder, or the one it would be made in, has this many bytes
// free. Where the system does not say, it is too.
func room(folder string, bytes int64) error {
	for {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); os.IsNotExist(err) && parent != folder {
			folder = parent
			continue
		}
		var disk syscall.Statfs_t
		if syscall.Statfs(folder, &disk) != nil || disk.Blocks == 0 {
			return nil
		}
		if free := disk.Bavail * uint64(disk.Bsize); free < uint64(bytes) {
			return &fs.PathError{Op: "write to", Path: folder, Err: fmt.Errorf("%d bytes are free and %d needed: %w", free, bytes, syscall.ENOSPC)}
		}
		return nil
	}
}

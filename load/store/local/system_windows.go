package local

import (
	"errors"
	"os"
	"syscall"
)

// syncFolder does nothing: Windows keeps renames by itself and cannot sync a folder.
func syncFolder(string) error { return nil }

// checkAccess knows nothing: on Windows only trying would tell.
func checkAccess(string) error { return nil }

// mark does nothing: an open file is marked enough, Windows does not remove it.
func mark(*os.File) error { return nil }

// removeUnmarked removes a file unless somebody has it open.
func removeUnmarked(path string) error {
	const sharingViolation = syscall.Errno(32)
	err := os.Remove(path)
	if errors.Is(err, sharingViolation) {
		return nil
	}
	return err
}

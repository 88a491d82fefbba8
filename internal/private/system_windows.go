package private

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// NoFollow is nothing: Windows lets only administrators make symbolic links.
const NoFollow = 0

// tryLock locks a file until it is closed or this process ends. The error is errHeld if
// another one has locked it.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errHeld
	}
	return err
}

// ownerOf knows nothing: on Windows a folder's access list says who may use it, and each
// user has a folder for temporary files that others cannot open.
func ownerOf(fs.FileInfo) (uid int, known bool) { return 0, false }

func own(fs.FileInfo) bool { return true }

func forOwnerAlone(fs.FileInfo) bool { return true }

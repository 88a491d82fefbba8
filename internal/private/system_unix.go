//go:build !windows

package private

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// NoFollow makes it an error to open a symbolic link.
const NoFollow = syscall.O_NOFOLLOW

// tryLock locks a file until it is closed or this process ends. The error is errHeld if
// another one has locked it.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errHeld
	}
	return err
}

// ownerOf returns the id of the user whose file it is.
func ownerOf(info fs.FileInfo) (uid int, known bool) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid), true
	}
	return 0, false
}

func own(info fs.FileInfo) bool {
	uid, known := ownerOf(info)
	return known && uid == os.Geteuid()
}

func forOwnerAlone(info fs.FileInfo) bool { return info.Mode().Perm()&0o077 == 0 }

//go:build !windows

package cache

import (
	"errors"
	"os"
	"syscall"
)

// checkOwn returns an error if a file could have been written by somebody else.
func checkOwn(file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a file")
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return errors.New("others than its owner can write it, or it is not yours")
	}
	return nil
}

// numberOf returns a file's number on its disk. A file that takes the place of another one
// has another number, even if its time and size are the same.
func numberOf(info os.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}

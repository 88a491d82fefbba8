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
	if owner, ok := info.Sys().(*syscall.Stat_t); !info.Mode().IsRegular() || !ok || int(owner.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return errors.New("others than its owner can write it, or it is not yours")
	}
	return nil
}

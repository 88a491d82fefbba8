package store

import (
	"errors"
	"io/fs"
	"os"
	"runtime"
	"syscall"
)

// TempFile is a file that goes away with the program. On a system that makes files
// without a name, not even kill -9 leaves it behind; where an open file can be
// removed, only a kill between making and removing it does.
type TempFile struct {
	*os.File
	named  bool
	closed bool
}

// NewTempFile makes one in the folder dir. It is called as os.CreateTemp would call
// it if it has to have a name.
func NewTempFile(dir, pattern string) (*TempFile, error) {
	if f, err := openUnnamed(dir); err == nil {
		return &TempFile{File: f}, nil
	}
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	t := &TempFile{File: f, named: true}
	if runtime.GOOS != "windows" {
		if err := os.Remove(f.Name()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		t.named = false
	}
	return t, nil
}

// Close closes and removes the file. Closing it again does nothing.
func (t *TempFile) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	err := t.File.Close()
	if t.named {
		err = errors.Join(err, os.Remove(t.Name()))
	}
	return err
}

// FileHint says what the user can do about a file of where that cannot be written. It is
// empty if there is nothing to say, and begins with a semicolon otherwise.
func FileHint(err error, where string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "; free some space for " + where
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "; raise the limit of open files, as ulimit -n does"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "; check that this user may write to the folder of " + where
	}
	return ""
}

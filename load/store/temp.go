package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/cvexport/cvexport/internal/private"
)

// TempFile is a file that only this user can open, and that goes away with the program.
// On a system that makes files without a name, not even kill -9 leaves it behind; where
// an open file can be removed, only a kill between making and removing it does. What is
// left the next run removes: see [private.Folder].
type TempFile struct {
	*os.File
	folder *private.Folder // if the file has a name
	closed bool
}

// NewTempFile makes one in the folder dir.
func NewTempFile(dir string) (*TempFile, error) {
	if f, err := openUnnamed(dir); err == nil {
		return &TempFile{File: f}, nil
	}
	return newNamed(dir)
}

// newNamed makes a file for a system where a file has a name at first.
func newNamed(dir string) (*TempFile, error) {
	folder, err := private.NewFolder(dir)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder.Path(), "spool"), os.O_CREATE|os.O_EXCL|os.O_RDWR, ownerOnly)
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	if runtime.GOOS == "windows" {
		return &TempFile{File: f, folder: folder}, nil
	}
	if err := folder.Close(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &TempFile{File: f}, nil
}

const ownerOnly = 0o600

// Close closes and removes the file. Closing it again does nothing.
func (t *TempFile) Close() error {
	if t.closed {
		return nil
	}
	t.closed = true
	err := t.File.Close()
	if t.folder != nil {
		err = errors.Join(err, t.folder.Close())
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

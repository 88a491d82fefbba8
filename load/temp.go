package load

import (
	"errors"
	"os"
	"runtime"
)

// tempFile is a file that goes away with the program: where the system makes files
// without a name even by kill -9, and where an open file can be removed but for
// the moment between the two.
type tempFile struct {
	*os.File
	named  bool
	closed bool
}

func newTempFile(dir, pattern string) (*tempFile, error) {
	if f, err := openUnnamed(dir); err == nil {
		return &tempFile{File: f}, nil
	}
	f, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return nil, err
	}
	t := &tempFile{File: f, named: true}
	if runtime.GOOS != "windows" {
		if err := os.Remove(f.Name()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		t.named = false
	}
	return t, nil
}

// Close closes and removes the file. Closing it again does nothing.
func (t *tempFile) Close() error {
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

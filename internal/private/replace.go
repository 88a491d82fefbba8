package private

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// resultMode is what umask and default access lists take from.
const resultMode = 0o666

// Create creates the file name in the folder for what will be a result, with the mode
// that the folder around it gives a new file.
func (f *Folder) Create(name string) (*os.File, error) {
	return os.OpenFile(filepath.Join(f.path, name), os.O_CREATE|os.O_EXCL|os.O_RDWR, resultMode)
}

// Replace writes a file in one step: whoever reads it sees the old content or the new.
// What has its name and is no file is left alone.
func Replace(name string, write func(io.Writer) error) error {
	if err := CheckLinks(name); err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Lstat(name); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file that can be replaced: give another name", name)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folder, err := newFolder(filepath.Dir(name))
	if err != nil {
		return err
	}
	f, err := folder.Create("result")
	if err == nil {
		err = errors.Join(write(f), f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return errors.Join(err, folder.Close())
}

package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateNew makes a file that only this user can open, whole or not at all. The error
// wraps fs.ErrExist if something has its name already, a link to nowhere too.
func CreateNew(name string, content []byte) error {
	in := filepath.Dir(name)
	if err := CheckLinks(in); err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	folder, err := newFolder(in)
	if err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	temp := filepath.Join(folder.path, "new")
	err = createNew(temp, content)
	if err == nil {
		err = os.Link(temp, name) // fails if the name is taken
		if err != nil && !errors.Is(err, fs.ErrExist) {
			err = createNew(name, content) // a file system without links
		}
	}
	if err = errors.Join(err, folder.Close()); err != nil {
		return fmt.Errorf("making %s: %w", name, err)
	}
	return nil
}

// createNew makes a file. It removes what it could not write to the end.
func createNew(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, owner)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(owner), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(name))
	}
	return nil
}

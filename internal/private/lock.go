package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/cvexport/cvexport/internal/regular"
)

// Lock returns the lock of that path, not yet taken, for everyone who may write to the
// folder that it is in and for nobody else: whoever can open a lock can hold it for ever.
// In a folder that others may write to, what has the lock's name may be a link to
// somebody's file: it is neither followed nor changed.
func Lock(path string) (*flock.Flock, error) {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	writers := folder.Mode().Perm() & 0o222
	mode := owner | writers | writers<<1 // flock needs the right to read and, on NFS, to write
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, mode)
	if err == nil {
		err = errors.Join(f.Chmod(mode), f.Close()) // despite the umask
	} else if errors.Is(err, fs.ErrExist) {
		err = checkFile(path)
	}
	return flock.New(path, flock.SetFlag(os.O_RDWR|NoFollow|regular.DontWait)), err
}

func checkFile(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	return regular.Check(path, info)
}

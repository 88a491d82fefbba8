// Package private makes files on a machine that others use too. What is temporary, only
// its user can open, and what a killed run has left, the next run of the same user
// removes. What was asked for appears in one step, with the mode that umask, setgid and
// default access lists give a new file of its folder, and never through a link that
// somebody else has put there.
package private

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Folder is a folder of mode 0700 with a name that nobody can guess, for the temporary
// files of one run. The run holds a lock in it, which the system releases when the
// process ends, however it ends.
type Folder struct {
	path string
	lock *os.File
}

const (
	// prefix begins the names of these folders. What is in them does not end in .parquet
	// and is hidden, so that no glob over a warehouse finds it.
	prefix   = ".cvexport-run-"
	lockName = "lock"
	ownerDir = 0o700
	owner    = 0o600
)

// errHeld means that a run holds the lock of a folder.
var errHeld = errors.New("another run has it")

// NewFolder makes one in a folder, or in the system's for temporary files if in is empty,
// after it has removed those that this user's killed runs have left there.
func NewFolder(in string) (*Folder, error) {
	if in == "" {
		in = os.TempDir()
	}
	f, err := newFolder(in)
	if err != nil {
		return nil, fmt.Errorf("making a folder for temporary files in %s: %w", in, err)
	}
	return f, nil
}

func newFolder(in string) (*Folder, error) {
	in, err := filepath.Abs(in)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(in); err != nil { // opening a FIFO would wait
		return nil, err
	} else if !info.IsDir() {
		return nil, fmt.Errorf("it is not a folder")
	}
	root, err := os.OpenRoot(in)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	removeAbandoned(root)
	for {
		name := prefix + rand.Text()
		if err := root.Mkdir(name, ownerDir); err != nil {
			return nil, err
		}
		lock, _, err := take(root, name)
		if errors.Is(err, errHeld) || errors.Is(err, fs.ErrNotExist) {
			continue // another run took it for abandoned before it was locked
		}
		if err != nil {
			return nil, errors.Join(err, root.RemoveAll(name))
		}
		return &Folder{filepath.Join(in, name), lock}, nil
	}
}

// Path is where the folder is.
func (f *Folder) Path() string { return f.path }

// Close removes the folder with all that is in it. Closing it again does nothing.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	lock := f.lock
	f.lock = nil
	if runtime.GOOS == "windows" { // it removes no open file
		return errors.Join(lock.Close(), os.RemoveAll(f.path))
	}
	return errors.Join(os.RemoveAll(f.path), lock.Close())
}

// take locks a run's folder. A file system that cannot lock gives no error: there no
// folder is ever taken for abandoned.
func take(root *os.Root, name string) (lock *os.File, locked bool, err error) {
	path := name + "/" + lockName
	f, err := root.OpenFile(path, os.O_CREATE|os.O_RDWR, owner)
	if err != nil {
		return nil, false, err
	}
	err = tryLock(f)
	if err == nil && !isAt(root, path, f) { // it was removed before it was locked
		err = errHeld
	}
	if errors.Is(err, errHeld) {
		return nil, false, errors.Join(err, f.Close())
	}
	return f, err == nil, nil
}

func isAt(root *os.Root, path string, f *os.File) bool {
	there, err := root.Lstat(path)
	if err != nil {
		return false
	}
	open, err := f.Stat()
	return err == nil && os.SameFile(there, open)
}

// removeAbandoned removes the folders of this user's runs that died. What it cannot
// remove stays: it is no reason for a run to fail. Nobody else can write into such a
// folder, and root follows no link that leads out of it.
func removeAbandoned(root *os.Root) {
	all, err := root.Open(".")
	if err != nil {
		return
	}
	defer all.Close()
	names, _ := all.Readdirnames(-1) // as many as can be read
	for _, name := range names {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		info, err := root.Lstat(name)
		if err != nil || !info.IsDir() || !own(info) || !forOwnerAlone(info) {
			continue
		}
		lock, locked, err := take(root, name)
		if err != nil {
			continue
		}
		if runtime.GOOS == "windows" { // it removes no open file
			lock.Close()
		}
		if locked {
			root.RemoveAll(name)
		}
		lock.Close()
	}
}

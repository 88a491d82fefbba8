package private

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckLinks returns an error if a path leads through a symbolic link that somebody else
// has put there: one that is neither this user's nor root's nor of the owner of the
// folder that it is in. A path may end in names that do not exist. (Linux refuses some of
// these links itself, in folders like /tmp, unless fs.protected_symlinks is off.)
func CheckLinks(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return checkLinks(path, new(int))
}

// checkLinks checks each part of an absolute path, and of what the links in it lead to.
func checkLinks(path string, followed *int) error {
	parent := filepath.Dir(path)
	if parent == path {
		return nil
	}
	if err := checkLinks(parent, followed); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	const most = 40 // as on Linux
	if *followed++; *followed > most {
		return fmt.Errorf("%s: too many symbolic links", path)
	}
	folder, err := os.Stat(parent)
	if err != nil {
		return err
	}
	uid, known := ownerOf(info)
	folderUID, _ := ownerOf(folder)
	if known && uid != 0 && uid != os.Geteuid() && uid != folderUID {
		return fmt.Errorf("%s is a symbolic link that another user has put there: remove it, or use another folder", path)
	}
	to, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(to) {
		if parent, err = filepath.EvalSymlinks(parent); err != nil {
			return err
		}
		to = filepath.Join(parent, to)
	}
	return checkLinks(to, followed)
}

// CheckOwn returns an error unless a folder is this user's.
func CheckOwn(folder string) error {
	info, err := os.Stat(folder)
	if err == nil && !own(info) {
		err = fmt.Errorf("%s belongs to another user: use a folder of your own", folder)
	}
	return err
}

// MakeOwn makes sure that a folder exists and that nobody else can open it. Another user's
// is refused: what is in it would be theirs.
func MakeOwn(folder string) error {
	if err := CheckLinks(folder); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, ownerDir); err != nil {
		return err
	}
	if err := CheckOwn(folder); err != nil {
		return err
	}
	return os.Chmod(folder, ownerDir) // earlier versions, or somebody, may have opened it
}

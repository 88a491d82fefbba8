// Package local keeps a warehouse in a folder of this machine. An object is a file.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load/store"
)

// Kind opens folders, given as a path or as file:///folder.
var Kind = store.Kind{
	Schemes: []string{"", "file"},
	Form:    "a folder",
	Open: func(_ context.Context, at store.Address) (store.Store, error) {
		folder, err := Folder(at)
		if err != nil {
			return nil, err
		}
		return New(folder)
	},
	URL: func(at store.Address) (string, error) {
		folder, err := Folder(at)
		if err != nil {
			return "", err
		}
		s, err := New(folder)
		if err != nil {
			return "", err
		}
		return s.URL(""), nil
	},
}

// Folder is the path that an address of this kind means.
func Folder(at store.Address) (string, error) {
	if at.Scheme == "" {
		return at.Rest, nil
	}
	u, err := url.Parse(at.String())
	if err != nil || (u.Host != "" && u.Host != "localhost") || u.Path == "" {
		return "", fmt.Errorf("warehouse %q: want file:///folder, with three slashes", at)
	}
	return filepath.FromSlash(u.Path), nil
}

// Store is a warehouse in a folder.
type Store struct {
	root              string
	files, subfolders fs.FileMode // of those that it makes, before the umask
}

var _ store.Store = (*Store)(nil)

// Files in the folder that are not objects. Neither name ends in .parquet, because
// DuckDB reads hidden files too.
const (
	lockName = ".cvexport.lock" // see put.go

	// TempPrefix begins the names of temporary files, which List leaves out.
	TempPrefix = ".tmp-"
)

// New returns the warehouse in a folder, which Put makes if there is none.
func New(folder string) (*Store, error) {
	root, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", folder, err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("warehouse %s is a file, not a folder", root)
	}
	return &Store{root: root, files: 0o666, subfolders: 0o777}, nil
}

// NewPrivate returns a warehouse whose files only their owner can open.
func NewPrivate(folder string) (*Store, error) {
	s, err := New(folder)
	if err == nil {
		s.files, s.subfolders = 0o600, 0o700
	}
	return s, err
}

// Root is the folder's absolute path.
func (s *Store) Root() string { return s.root }

func (s *Store) path(key string) (string, error) {
	if err := store.CheckKey(key); err != nil {
		return "", err
	}
	return filepath.Join(s.root, filepath.FromSlash(key)), nil
}

// Stat leaves the object without a checksum: a file system keeps none.
func (s *Store) Stat(_ context.Context, key string) (store.Object, error) {
	path, err := s.path(key)
	if err != nil {
		return store.Object{}, err
	}
	info, err := regular.Stat(path)
	if err != nil {
		return store.Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	return objectOf(key, info), nil
}

// objectOf makes the version of size and modification time. Put makes sure that the
// time grows.
func objectOf(key string, info fs.FileInfo) store.Object {
	return store.Object{Key: key, Size: info.Size(), Version: fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size())}
}

// Open opens the file.
func (s *Store) Open(_ context.Context, key string) (io.ReadCloser, error) { return s.open(key) }

// OpenAt opens the file.
func (s *Store) OpenAt(_ context.Context, key string) (store.ReadAtCloser, error) {
	return s.open(key)
}

func (s *Store) open(key string) (*os.File, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	f, err := regular.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return f, nil
}

// List walks the folder. Objects without a checksum are all that it yields. What is
// neither a file nor a folder is listed too, without size and version, and Stat says what
// it is. A folder
// that cannot be read is a key that ends in a slash: it must not hide the others.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		root := target(s.root)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == root {
				return nil // nothing was exported yet
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			unread := err
			if unread != nil && path == root {
				return unread
			}
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			key := filepath.ToSlash(relative)
			switch {
			case errors.Is(unread, fs.ErrNotExist):
				return nil // it is gone since its folder was read
			case unread != nil && strings.HasPrefix(key+"/", prefix) && !yield(store.Object{Key: key + "/"}, nil):
				return filepath.SkipAll
			case unread != nil:
				return nil
			}
			if key == "." && !entry.IsDir() {
				return nil // a link to nowhere
			}
			if strings.HasPrefix(prefix, key+"/") && !entry.IsDir() && entry.Type()&fs.ModeSymlink == 0 ||
				strings.HasPrefix(key, prefix) && isOdd(entry) && !strings.HasSuffix(key, ".parquet") {
				key += "/" // where a folder should be
				if !yield(store.Object{Key: key}, nil) {
					return filepath.SkipAll
				}
				return nil
			}
			if entry.IsDir() && strings.HasPrefix(key, prefix) && strings.HasSuffix(key, ".parquet") { // where a file should be
				if !yield(store.Object{Key: key}, nil) {
					return filepath.SkipAll
				}
				return filepath.SkipDir
			}
			if entry.IsDir() {
				if key != "." && !strings.HasPrefix(key+"/", prefix) && !strings.HasPrefix(prefix, key+"/") {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasPrefix(key, prefix) || key == lockName || strings.HasPrefix(entry.Name(), TempPrefix) {
				return nil
			}
			info, err := entry.Info()
			if err == nil && info.Mode()&fs.ModeSymlink != 0 {
				info, err = os.Stat(path)
			}
			if errors.Is(err, fs.ErrNotExist) && entry.Type()&fs.ModeSymlink == 0 {
				return nil
			}
			obj := store.Object{Key: key}
			if err == nil && info.Mode().IsRegular() {
				obj = objectOf(key, info)
			}
			if !yield(obj, nil) {
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(store.Object{}, fmt.Errorf("listing %s: %w", filepath.Join(s.root, prefix), err))
		}
	}
}

// isOdd reports whether an entry is neither a file, nor a folder, nor a link.
func isOdd(entry fs.DirEntry) bool {
	return !entry.Type().IsRegular() && !entry.IsDir() && entry.Type()&fs.ModeSymlink == 0
}

// target returns the folder that a link leads to: a walk enters no link, not even the one
// it begins with. What is no link, or leads nowhere, is returned as it is.
func target(folder string) string {
	if resolved, err := filepath.EvalSymlinks(folder); err == nil {
		return resolved
	}
	return folder
}

// HasFile reports whether a folder, or one below it, has a file whose name ends in
// suffix, or something else of such a name. A folder that does not exist has none.
func HasFile(folder, suffix string) (found bool, err error) {
	err = filepath.WalkDir(target(folder), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, suffix) {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return found, err
}

// URL is the path of a file.
func (s *Store) URL(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// Close does nothing.
func (s *Store) Close() error { return nil }

// Probe makes a folder in the warehouse, or in the nearest folder above it that exists, and
// removes it: some file systems, such as /sys, say that they can be written and cannot. Put
// compares versions itself, under a lock.
func (s *Store) Probe(context.Context) error {
	folder, err := nearest(s.root)
	if err == nil {
		folder, err = os.MkdirTemp(folder, TempPrefix+"*")
	}
	if err == nil {
		err = os.Remove(folder)
	}
	if err != nil {
		return fmt.Errorf("warehouse %s cannot be written: %w%s, or give another one with --warehouse", s.root, err, cmp.Or(store.FileHint(err, "the warehouse"), "; check its address"))
	}
	return nil
}

// CheckWrite asks the system about the lock, and about the folders of the warehouse and
// of the keys, or the ones that they would be made in.
func (s *Store) CheckWrite(_ context.Context, bytes int64, keys ...string) error {
	folders := []string{s.root}
	for _, key := range keys {
		path, err := s.path(key)
		if err != nil {
			return err
		}
		folders = append(folders, filepath.Dir(path))
	}
	err := checkLock(filepath.Join(s.root, lockName))
	for _, folder := range folders {
		existing, statErr := nearest(folder)
		err = cmp.Or(err, statErr, checkAccess(existing))
	}
	if err != nil {
		return fmt.Errorf("warehouse %s: %w; check the warehouse's address, or who owns the folder", s.root, err)
	}
	root, err := nearest(s.root)
	if err == nil {
		err = checkFreeSpace(root, bytes)
	}
	if err != nil {
		return fmt.Errorf("%w%s", err, store.FileHint(err, "the warehouse"))
	}
	return nil
}

// checkLock returns an error if there is a lock that this process may not take.
func checkLock(path string) error {
	if info, err := os.Lstat(path); err == nil {
		if err := regular.Check(path, info); err != nil {
			return err
		}
	}
	lock, err := os.OpenFile(path, os.O_RDWR|private.NoFollow|regular.DontWait, 0)
	if err != nil {
		return store.IgnoreMissing(err)
	}
	return lock.Close()
}

// nearest returns the folder, or the nearest one above it that exists.
func nearest(folder string) (string, error) {
	for {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent
			continue
		}
		return folder, err
	}
}

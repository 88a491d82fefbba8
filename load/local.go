package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"github.com/cvexport/cvexport/schema"
)

// local is a folder of this machine. An object is a file; it comes to its name
// by a rename, so that a reader never sees a part of it.
type local struct{ root string }

var _ Store = (*local)(nil)

// What lies in the folder besides objects. Neither name ends in .parquet:
// DuckDB reads hidden files too.
const (
	lockName  = ".cvexport.lock" // held while an object is replaced; the system lets go of it if the holder dies
	tempStart = ".tmp-"
)

// readersWait is how long an object is not replaced because somebody reads its table.
const readersWait = 30 * time.Second

func newLocal(path string) (*local, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("warehouse %s: %w", path, err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("warehouse %s is a file, not a folder", root)
	}
	return &local{root: root}, nil
}

func (l *local) path(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return filepath.Join(l.root, filepath.FromSlash(key)), nil
}

// Stat leaves the object without a checksum: a file system keeps none.
func (l *local) Stat(_ context.Context, key string) (Object, error) {
	path, err := l.path(key)
	if err != nil {
		return Object{}, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return Object{}, fmt.Errorf("looking at %s: %w", key, err)
	}
	return objectOf(key, info), nil
}

// objectOf takes size and modification time for the version: Put makes sure
// that the time grows.
func objectOf(key string, info fs.FileInfo) Object {
	return Object{Key: key, Size: info.Size(), Version: fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size())}
}

func (l *local) Open(_ context.Context, key string) (io.ReadCloser, error) {
	path, err := l.path(key)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	return f, nil
}

func (l *local) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		err := filepath.WalkDir(l.root, func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path == l.root {
				return nil // nothing was exported yet
			}
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			relative, err := filepath.Rel(l.root, path)
			if err != nil {
				return err
			}
			key := filepath.ToSlash(relative)
			if entry.IsDir() {
				if key != "." && !strings.HasPrefix(key+"/", prefix) && !strings.HasPrefix(prefix, key+"/") {
					return filepath.SkipDir
				}
				return nil
			}
			if !strings.HasPrefix(key, prefix) || key == lockName || strings.HasPrefix(entry.Name(), tempStart) {
				return nil
			}
			info, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if !yield(objectOf(key, info), nil) {
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			yield(Object{}, fmt.Errorf("listing %s: %w", filepath.Join(l.root, prefix), err))
		}
	}
}

// FolderHas reports whether a warehouse in a folder has any object of a table, which
// DuckDB takes for an error if not.
func FolderHas(root string, t schema.Table) (found bool, err error) {
	err = filepath.WalkDir(filepath.Join(root, t.Name), func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".parquet") {
			found = true
			return filepath.SkipAll
		}
		return err
	})
	return found, err
}

func (l *local) URL(key string) string { return filepath.Join(l.root, filepath.FromSlash(key)) }

func (l *local) Close() error { return nil }

// writable is nil if the folder, or the one it would be made in, can be written to.
func (l *local) writable() error {
	folder := l.root
	for {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent
			continue
		}
		if err == nil {
			err = mayWrite(folder)
		}
		if err != nil {
			return fmt.Errorf("warehouse %s: %w; check --warehouse, or whose the folder is", l.root, err)
		}
		return nil
	}
}

func (l *local) Put(ctx context.Context, key string, src Source, old string) (Object, error) {
	path, err := l.path(key)
	if err != nil {
		return Object{}, err
	}
	obj, err := l.put(ctx, key, path, src, old)
	if err != nil {
		return Object{}, fmt.Errorf("writing %s: %w%s", path, err, hintFor(err, "the warehouse"))
	}
	return obj, nil
}

func (l *local) put(ctx context.Context, key, path string, src Source, old string) (_ Object, err error) {
	folder := filepath.Dir(path)
	if err := makeFolder(folder); err != nil {
		return Object{}, err
	}
	lock, err := l.lock(ctx)
	if err != nil {
		return Object{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()

	// Whatever is half written here is from a writer that died with the lock.
	if err := removeTemps(folder); err != nil {
		return Object{}, err
	}
	before, err := current(path)
	if err != nil {
		return Object{}, err
	}
	if version(before) != old {
		return Object{}, ErrConflict
	}
	temp, err := copyToTemp(ctx, folder, src, before)
	if err != nil {
		return Object{}, err
	}
	if before == nil {
		err = os.Rename(temp, path)
	} else {
		table, _, _ := strings.Cut(key, "/")
		err = replaceUnread(ctx, temp, path, filepath.Join(l.root, table), readersWait)
	}
	if err != nil {
		return Object{}, errors.Join(err, os.Remove(temp))
	}
	// From here the new object is visible, and stays.
	if err := syncFolder(folder); err != nil {
		return Object{}, err
	}
	after, err := os.Stat(path)
	if err != nil {
		return Object{}, err
	}
	obj := objectOf(key, after)
	obj.CRC32C, obj.Summed = src.CRC32C(), true
	return obj, nil
}

// lock waits for its turn to write.
func (l *local) lock(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(l.root, lockName))
	const retry = 10 * time.Millisecond
	if _, err := lock.TryLockContext(ctx, retry); err != nil {
		return nil, fmt.Errorf("waiting for another writer of the warehouse: %w", err)
	}
	return lock, nil
}

// hintFor says what the user can do about a file that cannot be written.
func hintFor(err error, where string) string {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EFBIG):
		return "; make room for " + where
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "; raise the limit of open files, as ulimit -n does"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return "; check that this user may write to the folder of " + where
	}
	return ""
}

// current is the file now at path, nil if there is none.
func current(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

func version(info fs.FileInfo) string {
	if info == nil {
		return ""
	}
	return objectOf("", info).Version
}

// copyToTemp writes the source to a temporary file beside its place, checks it
// and brings it to disk.
func copyToTemp(ctx context.Context, folder string, src Source, before fs.FileInfo) (name string, err error) {
	f, err := os.CreateTemp(folder, tempStart+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			if closeErr := f.Close(); !errors.Is(closeErr, fs.ErrClosed) {
				err = errors.Join(err, closeErr)
			}
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := copySource(ctx, f, src); err != nil {
		return "", err
	}
	const readable = 0o644 // CreateTemp's files are the owner's alone, a warehouse is to be read
	if err := f.Chmod(readable); err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if before != nil && !info.ModTime().After(before.ModTime()) { // a coarse clock, or one set back
		later := before.ModTime().Add(time.Microsecond)
		if err := os.Chtimes(f.Name(), later, later); err != nil {
			return "", err
		}
	}
	return f.Name(), nil
}

func removeTemps(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), tempStart) {
			if err := os.Remove(filepath.Join(folder, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// makeFolder makes a folder and those above it, and brings each to disk.
func makeFolder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/load/store"
)

// How an object is replaced
//
// The content goes to a temporary file beside the object, and to the disk. Then the
// file is renamed to the object's name, so that a reader sees either object, whole,
// and the folder goes to the disk as well. A process that has the old file open keeps
// reading the old object.
//
// Writers share the warehouse's lock, which the system releases when its holder dies.
// It is held twice, for moments: to make the temporary file, and to compare the
// object's version and rename. The content is copied in between, without the lock, so
// that no writer waits for another one's disk.
//
// The temporary file is created with the mode that umask, setgid and default access lists
// give a file of its folder, and keeps it: it is as public as the object will be. No link
// is followed that somebody else has put into the warehouse.
//
// The temporary file of a writer that died stays until somebody writes to the same
// folder. To tell it from one that is being written, a writer marks its own for as
// long as it is open. It makes, marks and renames the file under the lock, and files
// are removed under the lock, so no file of a living writer is ever seen unmarked.

// Put writes a file.
func (s *Store) Put(ctx context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	path, err := s.path(key)
	if err != nil {
		return store.Object{}, err
	}
	info, err := s.put(ctx, path, src, append(others, store.Object{Key: key, Version: old}))
	if err != nil {
		return store.Object{}, fmt.Errorf("writing %s: %w%s", path, err, store.FileHint(err, "the warehouse"))
	}
	obj := objectOf(key, info)
	obj.CRC32C, obj.Summed = src.CRC32C(), true
	return obj, nil
}

func (s *Store) put(ctx context.Context, path string, src store.Source, expected []store.Object) (fs.FileInfo, error) {
	if err := private.CheckLinks(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := makeFolder(filepath.Dir(path), s.subfolders); err != nil {
		return nil, err
	}
	temp, err := s.begin(ctx, path, expected)
	if err != nil {
		return nil, err
	}
	if err := write(ctx, temp, src); err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	return s.replace(ctx, temp, path, expected)
}

// begin makes a temporary file beside the object, if all objects are as expected, and
// removes those of writers that died.
func (s *Store) begin(ctx context.Context, path string, expected []store.Object) (temp *os.File, err error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := s.compare(expected); err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	if err := removeAbandoned(folder); err != nil {
		return nil, err
	}
	temp, err = os.OpenFile(filepath.Join(folder, TempPrefix+rand.Text()), os.O_CREATE|os.O_EXCL|os.O_RDWR, s.files)
	if err != nil {
		return nil, err
	}
	if err := mark(temp); err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	return temp, nil
}

// write brings the source to the disk.
func write(ctx context.Context, temp *os.File, src store.Source) error {
	if err := store.Copy(ctx, temp, src); err != nil {
		return err
	}
	return temp.Sync()
}

// replace gives the temporary file the object's name, if all objects are still as
// expected, and removes it otherwise.
func (s *Store) replace(ctx context.Context, temp *os.File, path string, expected []store.Object) (_ fs.FileInfo, err error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err = s.compare(expected); err == nil {
		err = makeLater(temp, path)
	}
	if err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	if err := temp.Close(); err != nil { // Windows renames no open file
		return nil, errors.Join(err, store.IgnoreMissing(os.Remove(temp.Name())))
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return nil, errors.Join(err, os.Remove(temp.Name()))
	}
	// From here on the new object is visible, and stays.
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return os.Stat(path)
}

// compare returns an error unless each object has its version.
func (s *Store) compare(expected []store.Object) error {
	for _, want := range expected {
		now, err := s.Stat(context.Background(), want.Key)
		if err := store.IgnoreMissing(err); err != nil {
			return err
		}
		if now.Version != want.Version {
			return fmt.Errorf("%s: %w", want.Key, store.ErrConflict)
		}
	}
	return nil
}

// makeLater makes sure that the file is younger than the one at path, though the clock
// may be coarse, or have been set back: the time is part of the version.
func makeLater(temp *os.File, path string) error {
	before, err := os.Stat(path)
	if err != nil {
		return store.IgnoreMissing(err)
	}
	info, err := temp.Stat()
	if err != nil || info.ModTime().After(before.ModTime()) {
		return err
	}
	later := before.ModTime().Add(time.Microsecond)
	return os.Chtimes(temp.Name(), later, later)
}

// discard removes a temporary file, unless another writer's removeAbandoned was faster.
func discard(temp *os.File) error {
	return errors.Join(temp.Close(), store.IgnoreMissing(os.Remove(temp.Name())))
}

// lock waits until no other writer has the warehouse's lock, which is for everyone who
// may write to the warehouse's folder.
func (s *Store) lock(ctx context.Context) (*flock.Flock, error) {
	lock, err := private.Lock(filepath.Join(s.root, lockName))
	if err != nil {
		return nil, err
	}
	const retry = 10 * time.Millisecond
	if err := waitFor(ctx, lock, retry); err != nil {
		return nil, err
	}
	return lock, nil
}

// GiveUpAfter bounds how long a writer waits for the warehouse's lock, which others hold
// for moments. tellAfter is when it says that it waits.
const (
	GiveUpAfter = 15 * time.Minute
	tellAfter   = 5 * time.Second
)

// waitFor takes the lock, which it asks for every so often. It ends at once with ctx.
func waitFor(ctx context.Context, lock *flock.Flock, retry time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, GiveUpAfter)
	defer cancel()
	waits := time.AfterFunc(tellAfter, func() {
		slog.Warn("waiting for another writer of the warehouse", "lock", lock.Path(), "at most", GiveUpAfter)
	})
	defer waits.Stop()
	_, err := lock.TryLockContext(bounded, retry)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for another writer of the warehouse, by %s: %w", lock.Path(), ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("another writer of the warehouse has had %s for %s: find the process that holds it, as fuser or lsof do, and end it", lock.Path(), GiveUpAfter)
	case err != nil:
		return fmt.Errorf("locking the warehouse: %w", err)
	}
	return nil
}

// removeAbandoned removes the temporary files of writers that died.
func removeAbandoned(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), TempPrefix) || !entry.Type().IsRegular() {
			continue
		}
		if err := removeUnmarked(filepath.Join(folder, entry.Name())); store.IgnoreMissing(err) != nil {
			return err
		}
	}
	return nil
}

// Remove removes an object if it still has the version that is given: what another
// process has put since then stays.
func (s *Store) Remove(ctx context.Context, key, version string) (err error) {
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := private.CheckLinks(filepath.Dir(path)); err != nil {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err = s.compare([]store.Object{{Key: key, Version: version}}); err == nil {
		err = os.Remove(path)
	}
	if store.IgnoreMissing(err) != nil && !errors.Is(err, store.ErrConflict) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// makeFolder makes a folder and those above it, and brings each to the disk.
func makeFolder(path string, mode fs.FileMode) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeFolder(parent, mode); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

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
// The temporary file of a writer that died stays until somebody writes to the same
// folder. To tell it from one that is being written, a writer marks its own for as
// long as it is open. It makes, marks and renames the file under the lock, and files
// are removed under the lock, so no file of a living writer is ever seen unmarked.

// Put writes a file.
func (s *Store) Put(ctx context.Context, key string, src store.Source, old string) (store.Object, error) {
	path, err := s.path(key)
	if err != nil {
		return store.Object{}, err
	}
	obj, err := s.put(ctx, key, path, src, old)
	if err != nil {
		return store.Object{}, fmt.Errorf("writing %s: %w%s", path, err, store.FileHint(err, "the warehouse"))
	}
	return obj, nil
}

func (s *Store) put(ctx context.Context, key, path string, src store.Source, old string) (_ store.Object, err error) {
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return store.Object{}, err
	}
	temp, err := s.begin(ctx, path, old)
	if err != nil {
		return store.Object{}, err
	}
	if err := write(ctx, temp, src); err != nil {
		return store.Object{}, errors.Join(err, discard(temp))
	}
	info, err := s.replace(ctx, temp, path, old)
	if err != nil {
		return store.Object{}, err
	}
	obj := objectOf(key, info)
	obj.CRC32C, obj.Summed = src.CRC32C(), true
	return obj, nil
}

// begin makes a temporary file beside the object, which must have the version old, and
// removes those of writers that died.
func (s *Store) begin(ctx context.Context, path, old string) (temp *os.File, err error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err := compare(path, old); err != nil {
		return nil, err
	}
	folder := filepath.Dir(path)
	if err := removeAbandoned(folder); err != nil {
		return nil, err
	}
	temp, err = os.CreateTemp(folder, TempPrefix+"*")
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
	const readable = 0o644 // CreateTemp's files are for their owner only
	if err := temp.Chmod(readable); err != nil {
		return err
	}
	return temp.Sync()
}

// replace gives the temporary file the object's name, if the object still has the
// version old, and removes it otherwise.
func (s *Store) replace(ctx context.Context, temp *os.File, path, old string) (_ fs.FileInfo, err error) {
	lock, err := s.lock(ctx)
	if err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	before, err := compare(path, old)
	if err == nil && before != nil {
		err = makeLater(temp, before.ModTime())
	}
	if err != nil {
		return nil, errors.Join(err, discard(temp))
	}
	if err := temp.Close(); err != nil { // Windows renames no open file
		return nil, errors.Join(err, os.Remove(temp.Name()))
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

// compare returns the object's file, nil if there is none, and an error if it does not
// have the version old.
func compare(path, old string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	version := ""
	switch {
	case err == nil:
		version = objectOf("", info).Version
	case errors.Is(err, fs.ErrNotExist):
		info = nil
	default:
		return nil, err
	}
	if version != old {
		return nil, store.ErrConflict
	}
	return info, nil
}

// makeLater makes sure that the file is younger than before, though the clock may be
// coarse, or have been set back: the time is part of the version.
func makeLater(temp *os.File, before time.Time) error {
	info, err := temp.Stat()
	if err != nil || info.ModTime().After(before) {
		return err
	}
	later := before.Add(time.Microsecond)
	return os.Chtimes(temp.Name(), later, later)
}

func discard(temp *os.File) error { return errors.Join(temp.Close(), os.Remove(temp.Name())) }

// lock waits until no other writer has the warehouse's lock.
func (s *Store) lock(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(s.root, lockName))
	const retry = 10 * time.Millisecond
	if _, err := lock.TryLockContext(ctx, retry); err != nil {
		return nil, fmt.Errorf("waiting for another writer of the warehouse: %w", err)
	}
	return lock, nil
}

// removeAbandoned removes the temporary files of writers that died.
func removeAbandoned(folder string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), TempPrefix) {
			continue
		}
		if err := removeUnmarked(filepath.Join(folder, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if _, err = compare(path, version); err == nil {
		err = os.Remove(path)
	}
	if err != nil && !errors.Is(err, store.ErrConflict) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// makeFolder makes a folder and those above it, and brings each to the disk.
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

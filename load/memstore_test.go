package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
)

// memStore is a store in memory whose every step can be made to fail.
type memStore struct {
	objects map[string]memObject
	puts    []string // the keys put, in order
	writes  int

	unsummed bool // it keeps no checksums

	afterStat  func(key string)
	beforePut  func(key string) error
	afterPut   func()
	beforeOpen func(key string)
	openError  func(key string) error
	readError  func(key string) error
}

type memObject struct {
	body    []byte
	version int
}

var _ Store = (*memStore)(nil)

func newMemStore() *memStore { return &memStore{objects: map[string]memObject{}} }

func (s *memStore) set(key string, body []byte) {
	s.writes++
	s.objects[key] = memObject{body, s.writes}
}

func (s *memStore) object(key string) (obj Object) {
	o, ok := s.objects[key]
	if !ok {
		return Object{}
	}
	obj = Object{Key: key, Size: int64(len(o.body)), Version: fmt.Sprint(o.version)}
	if !s.unsummed {
		obj.CRC32C, obj.Summed = crc32.Checksum(o.body, castagnoli), true
	}
	return obj
}

func missing(op, key string) error { return &fs.PathError{Op: op, Path: key, Err: fs.ErrNotExist} }

func (s *memStore) Stat(ctx context.Context, key string) (Object, error) {
	if err := ctx.Err(); err != nil {
		return Object{}, err
	}
	obj := s.object(key)
	if s.afterStat != nil {
		s.afterStat(key)
	}
	if obj.Version == "" {
		return Object{}, missing("stat", key)
	}
	return obj, nil
}

// Put is not stopped by its context: once begun it goes through.
func (s *memStore) Put(_ context.Context, key string, src Source, old string) (Object, error) {
	if s.beforePut != nil {
		if err := s.beforePut(key); err != nil {
			return Object{}, err
		}
	}
	if s.object(key).Version != old {
		return Object{}, fmt.Errorf("writing %s: %w", key, ErrConflict)
	}
	body, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return Object{}, err
	}
	s.set(key, body)
	s.puts = append(s.puts, key)
	obj := s.object(key)
	obj.CRC32C, obj.Summed = src.CRC32C(), true
	if s.afterPut != nil {
		s.afterPut()
	}
	return obj, nil
}

func (s *memStore) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.beforeOpen != nil {
		s.beforeOpen(key)
	}
	if s.openError != nil {
		if err := s.openError(key); err != nil {
			return nil, err
		}
	}
	o, ok := s.objects[key]
	if !ok {
		return nil, missing("open", key)
	}
	var body io.Reader = bytes.NewReader(o.body)
	if s.readError != nil {
		if err := s.readError(key); err != nil {
			body = io.MultiReader(bytes.NewReader(o.body[:len(o.body)/2]), failingReader{err})
		}
	}
	return io.NopCloser(body), nil
}

type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }

func (s *memStore) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.objects)) {
			if err := ctx.Err(); err != nil {
				yield(Object{}, err)
				return
			}
			if strings.HasPrefix(key, prefix) && !yield(s.object(key), nil) {
				return
			}
		}
	}
}

func (s *memStore) URL(key string) string { return "mem://" + key }

func (s *memStore) Close() error { return nil }

// contents are the objects' bodies by key.
func (s *memStore) contents() map[string]string {
	bodies := map[string]string{}
	for key, o := range s.objects {
		bodies[key] = string(o.body)
	}
	return bodies
}

var errBroken = errors.New("the connection broke")

package storetest

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

	"github.com/cvexport/cvexport/load/store"
)

// Memory is a store in memory whose every step can be made to fail.
type Memory struct {
	Objects  map[string]MemoryObject
	Puts     []string // the keys of successful calls of Put, in order
	Unsummed bool     // whether it keeps no checksums

	// These are called in the course of a method, unless they are nil.
	AfterStat  func(key string)
	BeforePut  func(key string) error
	AfterPut   func()
	BeforeOpen func(key string)
	OpenError  func(key string) error
	ReadError  func(key string) error

	writes int
}

// MemoryObject is an object in memory.
type MemoryObject struct {
	Body    []byte
	version int
}

var _ store.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{Objects: map[string]MemoryObject{}} }

// Set writes an object, whatever there was before.
func (s *Memory) Set(key string, body []byte) {
	s.writes++
	s.Objects[key] = MemoryObject{body, s.writes}
}

func (s *Memory) object(key string) (obj store.Object) {
	o, ok := s.Objects[key]
	if !ok {
		return store.Object{}
	}
	obj = store.Object{Key: key, Size: int64(len(o.Body)), Version: fmt.Sprint(o.version)}
	if !s.Unsummed {
		obj.CRC32C, obj.Summed = crc32.Checksum(o.Body, store.Castagnoli), true
	}
	return obj
}

// Missing is the error for an object that does not exist.
func Missing(op, key string) error { return &fs.PathError{Op: op, Path: key, Err: fs.ErrNotExist} }

// Stat describes an object.
func (s *Memory) Stat(ctx context.Context, key string) (store.Object, error) {
	if err := ctx.Err(); err != nil {
		return store.Object{}, err
	}
	obj := s.object(key)
	if s.AfterStat != nil {
		s.AfterStat(key)
	}
	if obj.Version == "" {
		return store.Object{}, Missing("stat", key)
	}
	return obj, nil
}

// Put ignores its context: a put that has begun goes through.
func (s *Memory) Put(_ context.Context, key string, src store.Source, old string, others ...store.Object) (store.Object, error) {
	if s.BeforePut != nil {
		if err := s.BeforePut(key); err != nil {
			return store.Object{}, err
		}
	}
	for _, want := range append([]store.Object{{Key: key, Version: old}}, others...) {
		if s.object(want.Key).Version != want.Version {
			return store.Object{}, fmt.Errorf("writing %s: %s: %w", key, want.Key, store.ErrConflict)
		}
	}
	body, err := io.ReadAll(io.NewSectionReader(src, 0, src.Size()))
	if err != nil {
		return store.Object{}, err
	}
	s.Set(key, body)
	s.Puts = append(s.Puts, key)
	obj := s.object(key)
	obj.CRC32C, obj.Summed = src.CRC32C(), true
	if s.AfterPut != nil {
		s.AfterPut()
	}
	return obj, nil
}

// Open reads an object.
func (s *Memory) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.BeforeOpen != nil {
		s.BeforeOpen(key)
	}
	if s.OpenError != nil {
		if err := s.OpenError(key); err != nil {
			return nil, err
		}
	}
	o, ok := s.Objects[key]
	if !ok {
		return nil, Missing("open", key)
	}
	var body io.Reader = bytes.NewReader(o.Body)
	if s.ReadError != nil {
		if err := s.ReadError(key); err != nil {
			body = io.MultiReader(bytes.NewReader(o.Body[:len(o.Body)/2]), FailingReader{err})
		}
	}
	return io.NopCloser(body), nil
}

// FailingReader fails to read.
type FailingReader struct{ Err error }

func (r FailingReader) Read([]byte) (int, error) { return 0, r.Err }

// OpenAt is not supported.
func (s *Memory) OpenAt(context.Context, string) (store.ReadAtCloser, error) {
	return nil, errors.ErrUnsupported
}

// Probe has nothing to find out.
func (s *Memory) Probe(context.Context) error { return nil }

// CheckWrite allows everything.
func (s *Memory) CheckWrite(context.Context, int64, ...string) error { return nil }

// List lists objects.
func (s *Memory) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.Objects)) {
			if err := ctx.Err(); err != nil {
				yield(store.Object{}, err)
				return
			}
			if strings.HasPrefix(key, prefix) && !yield(s.object(key), nil) {
				return
			}
		}
	}
}

// URL is the key behind mem://.
func (s *Memory) URL(key string) string { return "mem://" + key }

// Close does nothing.
func (s *Memory) Close() error { return nil }

// Contents returns the objects' bodies by key.
func (s *Memory) Contents() map[string]string {
	bodies := map[string]string{}
	for key, o := range s.Objects {
		bodies[key] = string(o.Body)
	}
	return bodies
}

// ErrBroken is an error for the functions of a Memory to return.
var ErrBroken = errors.New("the connection broke")

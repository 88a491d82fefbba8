// Package store says what a warehouse's storage can do. Each kind of storage is a
// package below this one; package open knows them all, and package storetest has the
// tests that each of them passes.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/cvexport/cvexport/internal/regular"
)

// Object describes one object of a store.
type Object struct {
	Key     string // below the warehouse's root, with forward slashes
	Size    int64
	Summed  bool   // whether CRC32C is known
	CRC32C  uint32 // Castagnoli
	Version string // opaque; changes whenever the content does
}

// Matches reports whether the object is known to have the source's content.
func (o Object) Matches(src Source) bool {
	return o.Summed && o.Size == src.Size() && o.CRC32C == src.CRC32C()
}

// Source is what [Store.Put] uploads. It may be read several times.
type Source interface {
	io.ReaderAt
	Size() int64
	CRC32C() uint32
}

// ReadAtCloser is an open object that can be read at any offset.
type ReadAtCloser interface {
	io.ReaderAt
	io.Closer
}

var (
	// ErrLogin means that the machine's credentials could not be obtained. The
	// service that issues them may be back in a moment.
	ErrLogin = errors.New("no credentials")

	// ErrConflict means that an object does not have the expected version.
	ErrConflict = errors.New("another writer has replaced it")

	// ErrNotFile means that what a local warehouse has in the place of an object is a FIFO,
	// a device, a socket or a folder.
	ErrNotFile = regular.ErrNotFile

	// ErrTooLong means that reading an object goes on behind its end.
	ErrTooLong = errors.New("it goes on")

	// ErrNoBucket means that the bucket or container of a warehouse does not exist.
	ErrNoBucket = errors.New("no such bucket or container")

	// ErrUnsafe means that a store writes objects whatever the version that they must
	// have.
	ErrUnsafe = errors.New("it ignores the conditions of a write")
)

// Store holds the objects of a warehouse. Its methods are safe for concurrent use
// and may be retried. Every error names the object.
type Store interface {
	// Stat describes an object. The error wraps fs.ErrNotExist if there is none.
	// The object is summed where the store keeps a checksum.
	Stat(ctx context.Context, key string) (Object, error)

	// Put writes an object in one atomic step: readers see the old one or the
	// new one, whole. old is the version it must have now, empty if it must not
	// exist; otherwise the error wraps ErrConflict. So it does if one of others
	// does not have its version, empty if it must not exist; a service that
	// compares one object with a request looks at the others just before. After
	// any error but a lost connection the object is as it was; content that does
	// not have the source's size and checksum never becomes visible.
	Put(ctx context.Context, key string, src Source, old string, others ...Object) (Object, error)

	// Open opens an object, to be read from its beginning. The error wraps
	// fs.ErrNotExist if there is none.
	Open(ctx context.Context, key string) (io.ReadCloser, error)

	// OpenAt opens an object, to be read at any offset. The error wraps
	// fs.ErrNotExist if there is none, and errors.ErrUnsupported in a store that
	// reads objects from their beginning only.
	OpenAt(ctx context.Context, key string) (ReadAtCloser, error)

	// List yields the objects whose keys begin with prefix, ordered by key. They
	// are summed where the store lists its checksums.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// CheckWrite returns an error if it is certain that objects of that many bytes
	// cannot be written under these keys: no permission, or not enough free space.
	// It is nil where only trying would tell.
	CheckWrite(ctx context.Context, bytes int64, keys ...string) error

	// Probe finds out, once, whether Put's old is heeded, by writing a small object
	// outside of the tables unless an earlier run has left one that says so. The error
	// wraps ErrUnsafe if it is not. A store that compares versions itself only tries whether
	// it can be written.
	Probe(ctx context.Context) error

	// URL is what DuckDB or BigQuery calls an object, or any prefix of a key.
	URL(key string) string

	Close() error
}

// Kind is a kind of store. Each store's package has one, and package open lists them.
type Kind struct {
	Schemes []string // of its addresses, such as gs
	Form    string   // what an address looks like, such as gs://bucket/folder

	// Open opens the warehouse at an address, with the machine's own credentials.
	Open func(ctx context.Context, at Address) (Store, error)

	// URL is what Store.URL("") would be, as far as the address alone tells: it
	// needs no credentials and no network.
	URL func(at Address) (string, error)

	// Identity names the warehouse in one line without secrets: its address, and
	// whose it is if the address does not say. It is nil for a local folder.
	Identity func(at Address) (string, error)

	// DuckDB are the SQL statements that let DuckDB read the warehouse.
	DuckDB []string
}

// Address is where a warehouse is.
type Address struct {
	Scheme string // in front of ://, empty for a plain path
	Rest   string // what follows
}

// ParseAddress splits an address into its parts.
func ParseAddress(text string) Address {
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return Address{Rest: text}
	}
	return Address{Scheme: scheme, Rest: rest}
}

func (a Address) String() string {
	if a.Scheme == "" {
		return a.Rest
	}
	return a.Scheme + "://" + a.Rest
}

// Bounds of what a store says.
const (
	// MaxKey is the longest key that the stores of clouds take, in bytes.
	MaxKey = 1024

	// MaxObject is the largest object that is read, in bytes. Those of S3 and Azure are not
	// larger, because they are put in one request.
	MaxObject = 5 << 30

	// MaxListed is how many objects of one table are listed, unless the user says otherwise.
	MaxListed = 1_000_000
)

// CheckKey refuses a key that would leave the warehouse. Keys are built from
// checked ids; this is a second line of defence.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("object key %.100q... has %d bytes, more than the limit of %d", key, len(key), MaxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00") {
			return fmt.Errorf("object key %q is not a plain relative path: a part of it is empty, a dot or two dots, or has a backslash or a zero byte", key)
		}
	}
	return nil
}

package load

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// Object is what a store says of one object.
type Object struct {
	Key     string // below the warehouse's root, with forward slashes
	Size    int64
	Summed  bool   // whether CRC32C is known
	CRC32C  uint32 // Castagnoli
	Version string // opaque; changes whenever the content does
}

// Source is what [Store.Put] uploads. It may be read several times.
type Source interface {
	io.ReaderAt
	Size() int64
	CRC32C() uint32
}

// castagnoli is the polynomial of every checksum here, the one GCS keeps.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrLogin is that the machine's credentials for a warehouse could not be had. Who
// gives them may have been away for a moment.
var ErrLogin = errors.New("no credentials")

// ErrConflict is that an object is not the version it was expected to be:
// somebody else wrote it meanwhile.
var ErrConflict = errors.New("the object was changed by somebody else")

// Store is where a warehouse lies. Its methods are safe for concurrent use and
// may be retried. Every error names the object.
type Store interface {
	// Stat describes an object. The error wraps fs.ErrNotExist if there is none.
	// It is summed where the store keeps a checksum.
	Stat(ctx context.Context, key string) (Object, error)

	// Put writes an object in one atomic step: readers see the old one or the
	// new one, whole. old is the version it must have now, empty if it must not
	// exist; otherwise the error wraps ErrConflict. After any error but a lost
	// connection the object is as it was; content that does not have the
	// source's size and checksum is never made visible.
	Put(ctx context.Context, key string, src Source, old string) (Object, error)

	// Open reads a whole object. The error wraps fs.ErrNotExist if there is none.
	Open(ctx context.Context, key string) (io.ReadCloser, error)

	// List yields the objects whose keys begin with prefix, by key. They are
	// summed where the store lists its checksums.
	List(ctx context.Context, prefix string) iter.Seq2[Object, error]

	// URL is what DuckDB or BigQuery calls an object, or any prefix of a key.
	URL(key string) string

	Close() error
}

// OpenStore opens the warehouse at a local path, or at a file://, gs://, s3:// or
// azblob:// URL, with the machine's own credentials. A folder is made when the
// first object is put into it.
func OpenStore(ctx context.Context, address string) (Store, error) {
	where, err := parseAddress(address)
	if err != nil {
		return nil, err
	}
	switch where.scheme {
	case "gs":
		return newGCS(ctx, where.bucket, where.root, nil)
	case "s3":
		return newS3(ctx, where.bucket, where.root)
	case "azblob":
		return newAzure(ctx, where, azcore.ClientOptions{})
	}
	return newLocal(where.root)
}

// CheckAddress reports whether [OpenStore] could open a warehouse, as far as that
// is seen from its address alone: it needs no credentials and talks to nobody. It
// returns the address in its full form.
func CheckAddress(address string) (string, error) {
	where, err := parseAddress(address)
	if err != nil {
		return "", err
	}
	if where.scheme != "file" {
		place, err := where.place()
		return place.URL(""), err
	}
	l, err := newLocal(where.root)
	if err != nil {
		return "", err
	}
	return l.URL(""), nil
}

// address is where a warehouse lies.
type address struct {
	scheme string // file, gs, s3 or azblob
	host   string // of the storage account, which may stand in an azblob address
	bucket string // or container; none for a file
	root   string // the folder below it
}

func parseAddress(text string) (address, error) {
	if text == "" {
		return address{}, errors.New("no warehouse: give a folder, gs://bucket/folder, s3://bucket/folder or azblob://container/folder")
	}
	scheme, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return address{scheme: "file", root: text}, nil
	}
	switch scheme {
	case "file":
		u, err := url.Parse(text)
		if err != nil || (u.Host != "" && u.Host != "localhost") || u.Path == "" {
			return address{}, fmt.Errorf("warehouse %q: want file:///folder, with three slashes", text)
		}
		return address{scheme: scheme, root: filepath.FromSlash(u.Path)}, nil
	case "gs", "s3":
		bucket, root, _ := strings.Cut(rest, "/")
		if bucket == "" {
			return address{}, fmt.Errorf("warehouse %q: want %s://bucket or %[2]s://bucket/folder", text, scheme)
		}
		return address{scheme: scheme, bucket: bucket, root: root}, nil
	case "azblob", "az":
		return parseAzure(rest)
	}
	return address{}, fmt.Errorf("warehouse %s://: unknown kind of url: use a folder, file://, gs://, s3:// or azblob://", scheme)
}

// place is the folder of a cloud's warehouse.
func (a address) place() (place, error) {
	base := a.scheme + "://" + a.bucket
	if a.scheme == "azblob" { // which is what DuckDB calls it
		base = "az://" + a.bucket
		if strings.Contains(a.host, ".blob.") { // else one of its own, which DuckDB has from its secret
			base = "az://" + a.host + "/" + a.bucket
		}
	}
	return newPlace(base, a.root)
}

// checkKey refuses what would leave the warehouse. Keys are built from checked
// ids; this is the second lock.
func checkKey(key string) error {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00") {
			return fmt.Errorf("object key %q is not a plain relative path", key)
		}
	}
	return nil
}

// sum makes sure that an object is summed, by reading it where its store keeps
// no checksum.
func sum(ctx context.Context, s Store, obj Object) (Object, error) {
	if obj.Summed {
		return obj, nil
	}
	r, err := s.Open(ctx, obj.Key)
	if err != nil {
		return Object{}, err
	}
	hash := crc32.New(castagnoli)
	n, err := io.Copy(hash, &contextReader{ctx, r})
	if err := errors.Join(err, r.Close()); err != nil {
		return Object{}, fmt.Errorf("reading %s: %w", obj.Key, err)
	}
	obj.Size, obj.CRC32C, obj.Summed = n, hash.Sum32(), true
	return obj, nil
}

// copySource copies a whole source and checks that it is what it says it is.
func copySource(ctx context.Context, w io.Writer, src Source) error {
	hash := crc32.New(castagnoli)
	n, err := io.Copy(io.MultiWriter(w, hash), &contextReader{ctx, io.NewSectionReader(src, 0, src.Size())})
	if err == nil && (n != src.Size() || hash.Sum32() != src.CRC32C()) {
		err = fmt.Errorf("what was read to be written is damaged: %d bytes, crc32c %08x; want %d, %08x", n, hash.Sum32(), src.Size(), src.CRC32C())
	}
	return err
}

// contextReader ends a copy when its context does.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

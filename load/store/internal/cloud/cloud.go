// Package cloud holds what the stores of cloud services have in common.
package cloud

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/secret"
)

const (
	// CRCName is the metadata that holds an object's checksum, as eight hexadecimal
	// digits, where the service itself keeps none of this kind.
	CRCName = "crc32c"

	// MakeBucket is the hint for a bucket that does not exist.
	MakeBucket = "make the bucket, or check the warehouse's address"

	// Between is the hint for a refusal without a code of the service's.
	Between = "the refusal has no code of the service's: look for a proxy or firewall in between"
)

// MaxEmpty is how many pages of a listing may come without an object, one after another: a
// server that lies has another page for ever.
const MaxEmpty = 1000

// Empty counts the pages of a listing that have no object, and returns an error when there
// are more than MaxEmpty in a row.
func Empty(count *int, objects int) error {
	if *count++; objects > 0 {
		*count = 0
	}
	if *count > MaxEmpty {
		return fmt.Errorf("the listing has had %d pages without an object, and goes on", MaxEmpty)
	}
	return nil
}

// ContentType is that of an object, by its key.
func ContentType(key string) string {
	if path.Ext(key) == ".parquet" {
		return "application/vnd.apache.parquet"
	}
	return "text/plain; charset=utf-8"
}

// Place is the folder of a bucket or container that holds a warehouse.
type Place struct {
	base  string // the bucket's URL, without a slash at its end
	root  string // without slashes at its ends; may be empty
	known *known
}

// NewPlace returns the folder root of the bucket at the URL base.
func NewPlace(base, root string) (Place, error) {
	root = strings.Trim(root, "/")
	if root != "" {
		if err := store.CheckKey(root); err != nil {
			return Place{}, fmt.Errorf("warehouse %s/%s: %w", base, root, err)
		}
	}
	return Place{base: base, root: root, known: &known{}}, nil
}

// ParsePlace returns the place at an address such as gs://bucket/folder.
func ParsePlace(at store.Address) (place Place, bucket string, err error) {
	bucket, root, _ := strings.Cut(at.Rest, "/")
	if bucket == "" {
		return Place{}, "", fmt.Errorf("warehouse %q: want %s://bucket or %[2]s://bucket/folder", at, at.Scheme)
	}
	place, err = NewPlace(at.Scheme+"://"+bucket, root)
	return place, bucket, err
}

// URL is the URL of the place at such an address.
func URL(at store.Address) (string, error) {
	place, _, err := ParsePlace(at)
	return place.URL(""), err
}

// Identity is an address, and the endpoint that it is at unless that is empty.
func Identity(at store.Address, endpoint string) (string, error) {
	id := strings.TrimRight(at.String(), "/")
	if endpoint != "" {
		id += " at " + secret.Redact(endpoint)
	}
	if strings.ContainsAny(id, "\r\n") {
		return "", fmt.Errorf("warehouse %q: the address has more than one line", at)
	}
	return id, nil
}

// Name returns the bucket's name of an object.
func (p Place) Name(key string) (string, error) {
	if err := store.CheckKey(key); err != nil {
		return "", err
	}
	return path.Join(p.root, key), nil
}

// Prefix returns the bucket's name of the beginning of keys.
func (p Place) Prefix(prefix string) string {
	if p.root == "" {
		return prefix
	}
	return p.root + "/" + prefix
}

// Key is the inverse of Name.
func (p Place) Key(name string) string { return strings.TrimPrefix(name, p.Prefix("")) }

// URL is the URL of an object, or of a prefix of a key.
func (p Place) URL(key string) string {
	return strings.TrimSuffix(p.base+"/"+path.Join(p.root, key), "/")
}

// OpenAt is not supported: objects come as a stream.
func (p Place) OpenAt(_ context.Context, key string) (store.ReadAtCloser, error) {
	return nil, fmt.Errorf("reading parts of %s: %w", p.URL(key), errors.ErrUnsupported)
}

// CheckWrite knows nothing: only trying would tell.
func (Place) CheckWrite(context.Context, int64, ...string) error { return nil }

// Failed returns an error that names the object, and says what the user can do if
// there is a hint.
func (p Place) Failed(doing, key string, err error, hint string) error {
	if hint != "" {
		hint = "; " + hint
	}
	return fmt.Errorf("%s %s: %w%s", doing, p.URL(key), err, hint)
}

// Missing returns err, or an error that wraps [store.ErrNoBucket] if err says that an
// object is missing and it is the bucket that is. The two look alike where the answer
// has no body or the SDK drops it, so the bucket is listed, once. Otherwise an export
// would read all its pages before it learned that they have no place to go. Any other
// failure of the listing, such as a refusal, leaves the object missing.
func (p Place) Missing(ctx context.Context, s Tries, key string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) || p.known.bucket.Load() {
		return err
	}
	switch _, _, listErr := s.Page(ctx, key, ""); {
	case errors.Is(listErr, store.ErrNoBucket), patience.MayPass(listErr):
		return listErr
	case listErr == nil:
		p.known.bucket.Store(true)
	}
	return err
}

// CheckSize refuses a source that the service does not take in one request, which is
// what makes an upload one atomic step.
func CheckSize(src store.Source, limit int64) error {
	if src.Size() > limit {
		return fmt.Errorf("its %d bytes are more than the %d that the service takes at once; use a warehouse in a folder or on gs://", src.Size(), limit)
	}
	return nil
}

// CheckOthers returns an error that wraps [store.ErrConflict] if one of the objects does
// not have its version.
func CheckOthers(ctx context.Context, s Tries, others []store.Object) error {
	for _, want := range others {
		obj, err := s.Stat(ctx, want.Key)
		if err := store.IgnoreMissing(err); err != nil {
			return err
		}
		if obj.Version != want.Version {
			return fmt.Errorf("%s has changed: %w", want.Key, store.ErrConflict)
		}
	}
	return nil
}

// Settle finds out what became of an upload that ended with err. It may have arrived
// all the same: its answer was lost, and a retry found what the upload itself had
// written. Only if it did not arrive is a failed precondition a conflict. If looking
// at the object fails, the upload's error says more, unless it is a failed precondition.
func Settle(ctx context.Context, s Tries, key string, src store.Source, old string, err error, precondition bool) (store.Object, error) {
	if ctx.Err() != nil {
		return store.Object{}, err
	}
	obj, statErr := s.Stat(ctx, key)
	switch {
	case statErr == nil && obj.Version != old && obj.Matches(src):
		return obj, nil
	case precondition && patience.MayPass(statErr):
		return store.Object{}, statErr // the next try finds out
	case precondition:
		err = store.ErrConflict
	}
	return store.Object{}, err
}

// FormatCRC writes a source's checksum as it is kept under CRCName.
func FormatCRC(src store.Source) string { return fmt.Sprintf("%08x", src.CRC32C()) }

// ParseCRC is the inverse of FormatCRC; ok is false if value is not a checksum.
func ParseCRC(value string) (crc uint32, ok bool) {
	n, err := strconv.ParseUint(value, 16, 32)
	return uint32(n), err == nil && len(value) == len("01234567")
}

// VersionOf is an object's version. An ETag has quotes in a header, but not in some
// listings.
func VersionOf(etag string) string { return strings.Trim(etag, `"`) }

// ETagOf is the inverse of VersionOf.
func ETagOf(version string) string { return `"` + version + `"` }

package load

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
)

// What the stores in a cloud have in common.

const (
	parquetType = "application/vnd.apache.parquet"

	// crcName is the metadata under which an object's checksum lies, as eight
	// hexadecimal digits, where the service itself keeps none of this kind.
	crcName = "crc32c"

	makeBucket = "make the bucket, or check --warehouse"
)

// errNoBucket is that the bucket or container of a warehouse is not there.
var errNoBucket = errors.New("no such bucket or container")

// place is the folder of a bucket or container in which a warehouse lies.
type place struct {
	base string       // the bucket's URL, without a slash at its end
	root string       // without slashes at its ends; may be empty
	seen *atomic.Bool // that the bucket is there
}

func newPlace(base, root string) (place, error) {
	root = strings.Trim(root, "/")
	if root != "" {
		if err := checkKey(root); err != nil {
			return place{}, fmt.Errorf("warehouse %s/%s: %w", base, root, err)
		}
	}
	return place{base: base, root: root, seen: &atomic.Bool{}}, nil
}

// name is what the bucket calls an object.
func (p place) name(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return path.Join(p.root, key), nil
}

// prefix is what the bucket calls the beginning of keys.
func (p place) prefix(prefix string) string {
	if p.root == "" {
		return prefix
	}
	return p.root + "/" + prefix
}

// key is the inverse of name.
func (p place) key(name string) string { return strings.TrimPrefix(name, p.prefix("")) }

func (p place) URL(key string) string {
	return strings.TrimSuffix(p.base+"/"+path.Join(p.root, key), "/")
}

// failed names the object, and says what the user can do where there is something.
func (p place) failed(doing, key string, err error, hint string) error {
	if hint != "" {
		hint = "; " + hint
	}
	return fmt.Errorf("%s %s: %w%s", doing, p.URL(key), err, hint)
}

// missing tells a missing object from a missing bucket, which answer alike where
// the answer has no body or the SDK drops it: by a listing, once. Otherwise an
// export would read all its pages before it learned that they have no place to go.
// Whatever else a listing meets, such as a refusal, leaves the object missing.
func (p place) missing(ctx context.Context, s Store, key string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) || p.seen.Load() {
		return err
	}
	for _, listErr := range s.List(ctx, key) {
		if errors.Is(listErr, errNoBucket) {
			return listErr
		}
		if listErr != nil {
			return err
		}
		break
	}
	p.seen.Store(true)
	return err
}

// checkSize refuses what the service does not take in one request, which is how
// an upload is one atomic step.
func checkSize(src Source, limit int64) error {
	if src.Size() > limit {
		return fmt.Errorf("its %d bytes are more than the %d that the service takes at once; use a warehouse in a folder or on gs://", src.Size(), limit)
	}
	return nil
}

// settle finds out what came of an upload that ended with err. It may have
// arrived all the same: its answer was lost, and a retry met what it had itself
// written. Only otherwise a precondition that failed is a conflict. If the look
// at the object fails, the upload's error tells more.
func settle(ctx context.Context, s Store, key string, src Source, old string, err error, precondition bool) (Object, error) {
	if ctx.Err() != nil {
		return Object{}, err
	}
	if obj, statErr := s.Stat(ctx, key); statErr == nil && obj.Version != old && sameContent(obj, src) {
		return obj, nil
	}
	if precondition {
		err = ErrConflict
	}
	return Object{}, err
}

func sameContent(obj Object, src Source) bool {
	return obj.Summed && obj.Size == src.Size() && obj.CRC32C == src.CRC32C()
}

func formatCRC(src Source) string { return fmt.Sprintf("%08x", src.CRC32C()) }

func parseCRC(value string) (crc uint32, ok bool) {
	n, err := strconv.ParseUint(value, 16, 32)
	return uint32(n), err == nil && len(value) == len("01234567")
}

// An ETag stands between quotes in a header, and in some listings without.
func versionOf(etag string) string { return strings.Trim(etag, `"`) }

func etagOf(version string) string { return `"` + version + `"` }

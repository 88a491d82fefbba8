package load

import (
	"context"
	"crypto/md5"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// folder is where in a bucket or container the warehouse lies, without slashes
// at its ends; it may be empty.
type folder string

func newFolder(address, root string) (folder, error) {
	root = strings.Trim(root, "/")
	if root != "" {
		if err := checkKey(root); err != nil {
			return "", fmt.Errorf("warehouse %s/%s: %w", address, root, err)
		}
	}
	return folder(root), nil
}

// name is an object's whole name.
func (f folder) name(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", err
	}
	return path.Join(string(f), key), nil
}

// prefix is what the names of the objects under a prefix of keys begin with.
func (f folder) prefix(prefix string) string {
	if f == "" {
		return prefix
	}
	return string(f) + "/" + prefix
}

// key is the inverse of name.
func (f folder) key(name string) string { return strings.TrimPrefix(name, f.prefix("")) }

const (
	contentType = "application/vnd.apache.parquet"
	// sumKey is the metadata that keeps an object's CRC32C where the store does not.
	sumKey = "crc32c"
)

// hashed reads a source once before it is sent: what is damaged must never
// arrive, and the stores check an upload by its MD5.
func hashed(ctx context.Context, src Source) ([]byte, error) {
	hash := md5.New()
	if err := copySource(ctx, hash, src); err != nil {
		return nil, err
	}
	return hash.Sum(nil), nil
}

func formatSum(crc uint32) string { return fmt.Sprintf("%08x", crc) }

// setSum takes an object's checksum from its metadata; a stranger's object has none.
func (o *Object) setSum(text string) {
	if crc, err := strconv.ParseUint(text, 16, 32); err == nil && len(text) == 8 {
		o.CRC32C, o.Summed = uint32(crc), true
	}
}

// is reports whether an object is what the source is. Every file says which
// export it is from, so nobody else writes the same bytes.
func (o Object) is(src Source) bool {
	return o.Summed && o.Size == src.Size() && o.CRC32C == src.CRC32C()
}

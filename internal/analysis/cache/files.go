package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
)

// checkFooter returns an error if DuckDB must not see a file's footer, and otherwise
// whether the file is dense. It may be another one by now than was listed.
func checkFooter(path string) (dense bool, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	rows, err := tablefile.CheckFooter(f, info.Size())
	return rows > max(fewRows, info.Size()/bytesPerRow), err
}

// copyFile copies a file to one that does not exist, and describes what it has copied.
func copyFile(from, to string) (copied fs.FileInfo, err error) {
	in, err := regular.Open(from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if copied, err = in.Stat(); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Close()); err != nil {
		return nil, fmt.Errorf("copying the cache: %w%s", err, store.FileHint(err, "the cache"))
	}
	return copied, nil
}

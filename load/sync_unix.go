//go:build !windows

package load

import (
	"errors"
	"os"
)

// syncFolder brings a folder's entries to disk, so that a rename survives a
// power cut.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

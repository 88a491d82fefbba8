//go:build !linux

package store

import (
	"errors"
	"os"
)

// openUnnamed works on Linux only.
func openUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

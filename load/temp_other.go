//go:build !linux

package load

import (
	"errors"
	"os"
)

// openUnnamed is of Linux alone.
func openUnnamed(string) (*os.File, error) { return nil, errors.ErrUnsupported }

//go:build !linux

package load

import (
	"context"
	"os"
	"time"
)

// replaceUnread replaces path by temp whoever reads it: only Linux tells.
func replaceUnread(_ context.Context, temp, path, _ string, _ time.Duration) error {
	return os.Rename(temp, path)
}

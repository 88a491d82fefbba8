package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// openUnnamed makes a file in a folder that never has a name. Not every file system can.
func openUnnamed(dir string) (*os.File, error) {
	return os.OpenFile(dir, os.O_RDWR|unix.O_TMPFILE, ownerOnly)
}

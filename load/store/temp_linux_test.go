package store

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A spool file never has a name that a killed program could leave.
func TestUnnamed(t *testing.T) {
	dir := t.TempDir()
	f, err := openUnnamed(dir)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("the file system here cannot")
	}
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if _, err := f.WriteString("rows"); err != nil {
		t.Error(err)
	}
	var back [4]byte
	if _, err := f.ReadAt(back[:], 0); err != nil || string(back[:]) != "rows" {
		t.Errorf("it holds %q, %v", back, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

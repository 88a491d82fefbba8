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

// Where a file must have a name at first, nobody else can open it, and it is gone at once.
func TestNamed(t *testing.T) {
	dir := t.TempDir()
	f, err := newNamed(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := f.Stat(); err != nil || info.Mode() != ownerOnly {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if err := errors.Join(f.Close(), f.Close()); err != nil {
		t.Error(err)
	}
}

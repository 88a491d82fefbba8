package local

import (
	"path/filepath"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// FuzzKey checks that an object's file stays inside the warehouse.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"images/a/data.parquet", "", "/", "a", "../a", "a/../../b", "a/./b", "a//b", `a\..\b`, "a\x00b"} {
		f.Add(seed)
	}
	root := f.TempDir()
	s, err := New(root)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		path, err := s.path(key)
		if (err == nil) != (store.CheckKey(key) == nil) {
			t.Errorf("%q is at %s, %v", key, path, err)
		}
		if err == nil {
			if back, err := filepath.Rel(root, path); err != nil || filepath.ToSlash(back) != key {
				t.Errorf("%q is at %s, which is %q there: %v", key, path, back, err)
			}
		}
	})
}

package cloud

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// FuzzKey checks that an object's name in a bucket stays inside the warehouse.
func FuzzKey(f *testing.F) {
	for _, seed := range []string{"images/a/data.parquet", "", "/", "a", "../a", "a/../../b", "a/./b", "a//b", `a\..\b`, "a\x00b"} {
		f.Add(seed)
	}
	bucket, err := NewPlace("gs://bucket", "a/warehouse")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := bucket.Name(key)
		if (err == nil) != (store.CheckKey(key) == nil) {
			t.Errorf("%q is called %q, %v", key, name, err)
		}
		if err == nil && (!strings.HasPrefix(name, "a/warehouse/") || bucket.Key(name) != key) {
			t.Errorf("%q is called %q in a bucket", key, name)
		}
	})
}

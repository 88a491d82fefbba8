package local

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// A warehouse that is a link to a folder has the folder's objects.
func TestLinkToAWarehouse(t *testing.T) {
	folder := t.TempDir()
	link := filepath.Join(folder, "link")
	s, err := New(filepath.Join(folder, "real"))
	if err != nil {
		t.Fatal(err)
	}
	const key = "exports/project_id=a/data.parquet"
	if _, err := s.Put(t.Context(), key, store.NewBytesSource([]byte("x")), ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Skip("no links here:", err)
	}
	linked, err := New(link)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for obj, err := range linked.List(t.Context(), "exports/") {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	if len(keys) != 1 || keys[0] != key {
		t.Errorf("keys %v", keys)
	}
	if linked.URL("") != link {
		t.Errorf("its URL is %s", linked.URL(""))
	}
	for of, want := range map[string]bool{link: true, filepath.Join(link, "exports"): true, filepath.Join(folder, "none"): false} {
		if found, err := HasFile(of, ".parquet"); err != nil || found != want {
			t.Errorf("HasFile(%s) = %v, %v", of, found, err)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(folder, "dangling")); err != nil {
		t.Fatal(err)
	}
	dangling, err := New(filepath.Join(folder, "dangling"))
	if err != nil {
		t.Fatal(err)
	}
	for obj := range dangling.List(t.Context(), "") {
		t.Errorf("a link to nowhere has %+v", obj)
	}
}

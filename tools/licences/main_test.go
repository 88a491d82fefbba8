package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestList(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bom.json")
	if err := os.WriteFile(file, []byte(`{"components":[
		{"name":"b","version":"v1","evidence":{"licenses":[{"license":{"id":"MIT"}}]}},
		{"name":"a","version":"v2","licenses":[{"license":{"id":"GPL-3.0"}}]},
		{"name":"c","version":"v3"},
		{"name":"b","version":"v1","evidence":{"licenses":[{"license":{"id":"MIT"}}]}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	lines, refused, err := list([]string{file})
	if err != nil || !slices.Equal(lines, []string{"a v2 GPL-3.0", "b v1 MIT", "c v3 "}) || !slices.Equal(refused, []string{"a v2 GPL-3.0", "c v3 "}) {
		t.Errorf("%q, %q, %v", lines, refused, err)
	}
	if _, _, err := list([]string{os.DevNull}); err == nil {
		t.Error("an empty file is taken")
	}
}

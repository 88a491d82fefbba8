package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":           "module example.com/m\n\ngo 1.26\n",
		"main.go":          "package main\n\nimport \"example.com/m/own\"\n\nfunc main() { own.F() }\n",
		"own/own.go":       "package own\n\nfunc F() { f() }\n",
		"own/f_windows.go": "package own\n\nimport \"syscall\"\n\nfunc f() { syscall.Statfs(\"\", nil) }\n",
		"own/f_other.go":   "//go:build !windows\n\npackage own\n\nfunc f() {}\n",
	} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := check(folder, "darwin"); err != nil {
		t.Errorf("for darwin: %v", err)
	}
	if err := check(folder, "windows"); err == nil {
		t.Error("there is no syscall.Statfs on Windows")
	}
}

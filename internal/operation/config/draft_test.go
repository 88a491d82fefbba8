package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a draft writes is read back as what it was, whatever is in its texts; else nothing
// is written.
func TestDraft(t *testing.T) {
	const typed = "0123456789abcdef0123456789abcdef"
	for _, text := range []string{"plain", "a: b", "'", `"quoted"`, `\back`, "#", "{x}", "*a", "tab\there", "line\nend", "\u202eturned", "кот", "\x1b[31m", "null", "a\u2028b", "🙂"} {
		folder := t.TempDir()
		name := filepath.Join(folder, "cvexport.yaml")
		d := Draft{Endpoint: "West Europe", KeyFile: filepath.Join(folder, text+".key"), Key: typed, Warehouse: filepath.Join(folder, text), Rate: 2.5}
		if err := d.CheckKey(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		err := d.Write(name)
		if strings.ContainsAny(text, "\t\n\x1b") { // as for any other address
			if left, _ := os.ReadDir(folder); err == nil || len(left) > 0 {
				t.Errorf("%q: %v, %v", text, err, left)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		c, err := Resolve(Flags{File: name}, func(string) bool { return false })
		if err != nil || len(c.Resources) != 1 {
			t.Fatalf("%q: %+v, %v", text, c, err)
		}
		r := c.Resources[0]
		key, err := r.key.read()
		if err != nil || key != typed || r.Warehouse != d.Warehouse || r.Rate != 2.5 || r.Endpoint != d.Endpoint || r.Name != "westeurope" {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
		if body, err := os.ReadFile(name); err != nil || strings.Contains(string(body), typed) {
			t.Errorf("%q: %s, %v", text, body, err)
		}
		if err := d.Write(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%q: again: %v", text, err)
		}
		// The key's file is not left without a configuration.
		d.KeyFile += "2"
		if err := d.Write(name); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%q: again: %v", text, err)
		}
		if _, err := os.Lstat(d.KeyFile); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: a key is left: %v", text, err)
		}
	}
	for endpoint, want := range map[string]string{"https://shop-1.cognitiveservices.azure.com/": "shop-1", "http://127.0.0.1:8770": "127.0.0.1-8770", "https://" + strings.Repeat("x", 90) + ".example": strings.Repeat("x", 64)} {
		_, f, err := (&Draft{Endpoint: endpoint, KeyEnv: "KEY", Warehouse: "gs://b", Rate: 1}).text()
		if err != nil || f.Resources[0].Name != want {
			t.Errorf("%s: %+v, %v", endpoint, f, err)
		}
	}
	for _, d := range []Draft{{KeyEnv: "no name"}, {KeyFile: typed}, {KeyFile: "x", Key: "not a key"}} {
		if err := d.CheckKey(); err == nil || strings.Contains(err.Error(), typed) {
			t.Errorf("%+v: %v", d, err)
		}
	}
}

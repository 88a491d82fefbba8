package open

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store/azure/azurelogin/logintest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
)

func TestOpen(t *testing.T) {
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
	fakes.S3Machine(t)
	logintest.Machine(t, map[string]string{"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_KEY": "AAAA"})
	for address, want := range map[string]string{
		folder:                      folder + "/images",
		"file://" + folder:          folder + "/images",
		"file://localhost" + folder: folder + "/images",
		"gs://bucket":               "gs://bucket/images",
		"gs://bucket/a/b/":          "gs://bucket/a/b/images",
		"":                          "error: no warehouse",
		file:                        "error: is a file, not a folder",
		"file://elsewhere/x":        "error: three slashes",
		"gs://":                     "error: gs://bucket",
		"gs://bucket/../x":          "error: not a plain relative path",
		"s3://bucket":               "s3://bucket/images",
		"s3://bucket/a/b/":          "s3://bucket/a/b/images",
		"s3://":                     "error: s3://bucket",
		"s3://bucket/../x":          "error: not a plain relative path",
		"azblob://container":        "az://account.blob.core.windows.net/container/images",
		"az://container/a/b/":       "az://account.blob.core.windows.net/container/a/b/images",
		"azblob://account.blob.core.usgovcloudapi.net/container/a": "az://account.blob.core.usgovcloudapi.net/container/a/images",
		"azblob://":                              "error: azblob://container",
		"azblob://account.blob.core.windows.net": "error: azblob://ACCOUNT.blob.core.windows.net/container/folder",
		"azblob://elsewhere.example/container":   "error: azblob://ACCOUNT.blob.core.windows.net/container/folder",
		"azblob://container/../x":                "error: not a plain relative path",
		"azblob://container/x?sig=secret":        "error: AZURE_STORAGE_SAS_TOKEN",
		"https://bucket?sig=secret":              "error: https://: unknown kind",
	} {
		checked, checkErr := CheckAddress(address)
		s, err := Open(t.Context(), address)
		if (err == nil) != (checkErr == nil) {
			t.Errorf("CheckAddress(%q): %v, Open: %v", address, checkErr, err)
		}
		if reason, wrong := strings.CutPrefix(want, "error: "); wrong {
			if err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "secret") {
				t.Errorf("Open(%q): %v, want %q", address, err, reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("Open(%q): %v", address, err)
			continue
		}
		if address != "azblob://container" && address != "az://container/a/b/" && checked != s.URL("") { // whose account is in the environment
			t.Errorf("CheckAddress(%q) = %s, Open.URL = %s", address, checked, s.URL(""))
		}
		if got := filepath.ToSlash(s.URL("images")); got != want {
			t.Errorf("Open(%q).URL = %s, want %s", address, got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// An address is checked on a machine that could open none.
func TestCheckAddress(t *testing.T) {
	fakes.S3Machine(t)
	logintest.Machine(t, nil)
	for _, name := range []string{"STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "AWS_ACCESS_KEY_ID", "AWS_REGION"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
	for address, want := range map[string]string{
		"gs://bucket/a/":        "gs://bucket/a",
		"s3://bucket":           "s3://bucket",
		"azblob://container/a/": "az://container/a",
		"azblob://account.blob.core.windows.net/container": "az://account.blob.core.windows.net/container",
		"file:///a/b": filepath.FromSlash("/a/b"),
	} {
		if got, err := CheckAddress(address); err != nil || got != want {
			t.Errorf("CheckAddress(%q) = %s, %v; want %s", address, got, err, want)
		}
	}
}

package query

import (
	"github.com/cvexport/cvexport/load/store/open"
	"path/filepath"
	"strings"
	"testing"
)

func TestCacheFolders(t *testing.T) {
	for _, name := range []string{"STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"} {
		t.Setenv(name, "")
	}
	t.Setenv("XDG_CACHE_HOME", "/home/somebody/.cache")
	seen := map[string]string{}
	folder := func(address string) string {
		t.Helper()
		name, err := open.Identity(address)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := cacheFolder("", name)
		if err != nil {
			t.Fatal(err)
		}
		return folder
	}
	for _, address := range []string{
		"gs://bucket/a-b", "gs://bucket/a/b", "s3://bucket/a/b", "azblob://bucket/a/b", "gs://bucket/" + strings.Repeat("long/", 100),
		"gs://bucket/" + strings.Repeat("long/", 101), "gs://bucket/../猫 'x'",
	} {
		got := folder(address)
		if seen[got] != "" || filepath.Dir(got) != "/home/somebody/.cache/cvexport" || len(filepath.Base(got)) > 80 || strings.Trim(filepath.Base(got), "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
			t.Errorf("%s: %s, the folder of %q", address, got, seen[got])
		}
		seen[got] = address
	}
	if got := folder("gs://bucket/a/b/"); seen[got] != "gs://bucket/a/b" || !strings.HasPrefix(filepath.Base(got), "gs-bucket-a-b-") {
		t.Errorf("a slash at the end: %s", got)
	}
	if folder("az://bucket/a/b") != folder("azblob://bucket/a/b") {
		t.Error("az and azblob have different folders")
	}
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net")
	name, err := open.Identity("azblob://bucket/a/b")
	if err != nil || name != "azblob://bucket/a/b at one" {
		t.Errorf("%q, %v", name, err)
	}
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
	if got := folder("s3://bucket/a/b"); seen[got] != "" {
		t.Errorf("another server has the same folder: %s", got)
	}
}

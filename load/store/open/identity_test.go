package open

import (
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	for _, name := range []string{"STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT"} {
		t.Setenv(name, "")
	}
	check := func(address, want string) {
		t.Helper()
		got, err := Identity(address)
		reason, wrong := strings.CutPrefix(want, "error: ")
		if wrong && (err == nil || !strings.Contains(err.Error(), reason) || strings.Contains(err.Error(), "secret")) || !wrong && (err != nil || got != want) {
			t.Errorf("Identity(%q) = %q, %v; want %q", address, got, err, want)
		}
	}
	check("/folder", "")
	check("file:///folder", "")
	check("gs://bucket/a/b/", "gs://bucket/a/b")
	check("s3://bucket", "s3://bucket")
	check("az://container/a", "azblob://container/a")
	check("azblob://container/a?sig=secret", "error: AZURE_STORAGE_SAS_TOKEN")
	check("gs://bucket/a\nb", "error: more than one line")
	check("https://bucket", "error: https://: unknown kind")

	t.Setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:2")
	t.Setenv("AZURE_STORAGE_ACCOUNT", "one")
	check("gs://bucket", "gs://bucket at 127.0.0.1:1")
	check("s3://bucket", "s3://bucket at http://127.0.0.1:2")
	check("azblob://container/a", "azblob://container/a at one")
	check("azblob://two.blob.core.windows.net/container", "azblob://two.blob.core.windows.net/container")
	t.Setenv("AZURE_STORAGE_CONNECTION_STRING", "DefaultEndpointsProtocol=https;AccountName=three;AccountKey=c2VjcmV0")
	check("azblob://container/a", "azblob://container/a at three")
}

// DuckDB says what each kind needs, and a folder needs nothing.
func TestDuckDB(t *testing.T) {
	for address, want := range map[string]string{
		"/folder": "", "gs://bucket": "LOAD httpfs", "s3://bucket": "LOAD aws", "azblob://container": "LOAD azure",
	} {
		statements, err := DuckDB(address)
		if err != nil || !strings.Contains(strings.Join(statements, "\n"), want) || (want == "") != (len(statements) == 0) {
			t.Errorf("DuckDB(%q) = %q, %v; want %q", address, statements, err, want)
		}
	}
}

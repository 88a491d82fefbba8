package open

import (
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store"
)

// FuzzAddress checks that a warehouse's root stays inside its bucket, and that an error
// repeats no token.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{"", "folder", "/folder", "file:///folder", "file://host/folder", "gs://bucket", "gs://bucket/a/../..", "s3://bucket/a//b",
		"azblob://container/folder", "azblob://account.blob.core.windows.net/container?sig=TOKEN", "az://container", "http://host", "gs:///", "azblob://a:b@c/d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		full, err := CheckAddress(text)
		if id, idErr := Identity(text); err == nil && idErr == nil && id != "" {
			rest := store.ParseAddress(full).Rest
			if strings.Contains(rest, ".blob.") {
				_, rest, _ = strings.Cut(rest, "/")
			}
			if _, root, ok := strings.Cut(rest, "/"); ok && store.CheckKey(root) != nil {
				t.Errorf("%q has the root %q: %v", text, root, store.CheckKey(root))
			}
		}
		if _, token, found := strings.Cut(text, "?sig="); err != nil && found && len(token) > 8 && strings.HasPrefix(text, "azblob://") && strings.Contains(err.Error(), token) {
			t.Errorf("the error repeats the token: %v", err)
		}
	})
}

//go:build linux

package query_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestUnusableCache asks where no cache can be kept: the answer is right, and the reader is
// told why it took longer.
func TestUnusableCache(t *testing.T) {
	const images = 20
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Multiclass, Images: images})
	for name, make := range map[string]func(folder string) error{
		"a full disk": func(folder string) error {
			if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder).CombinedOutput(); err != nil {
				t.Skipf("no small disk can be mounted here: %v: %s", err, out)
			}
			t.Cleanup(func() {
				if out, err := exec.Command("umount", folder).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
			return nil
		},
		"files in the place of folders": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "a"), nil, 0o600)
		},
	} {
		folder := t.TempDir()
		if err := make(folder); err != nil {
			t.Fatal(err)
		}
		if name != "a full disk" {
			folder = filepath.Join(folder, "a", "b")
		}
		db, warnings := exported.OpenCached(t, root, folder, cache.Scope{})
		if len(warnings) != 1 || !strings.Contains(warnings[0], "the cache cannot be used, so the files are read") {
			t.Errorf("%s: warnings %q", name, warnings)
		}
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM current_images").Scan(&n); err != nil || n != images {
			t.Errorf("%s: %d images, want %d; %v", name, n, images, err)
		}
	}
}

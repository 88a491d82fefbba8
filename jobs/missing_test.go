package jobs

import (
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store/open"
)

// A warehouse that cannot be is reported before the first page is read.
func TestMissingWarehouse(t *testing.T) {
	for name, tc := range map[string]struct {
		open func(t *testing.T, b *bench) (address string)
		want string
	}{
		"gcs": {func(t *testing.T, b *bench) string {
			b.useGCS(t)
			return "gs://no-such-bucket/vision"
		}, "make the bucket"},
		"s3": {func(t *testing.T, _ *bench) string {
			useS3(t)
			return "s3://no-such-bucket/vision"
		}, "make the bucket"},
		"azure": {func(t *testing.T, _ *bench) string {
			t.Setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.Start(t).ConnectionString)
			return "azblob://no-such-container/vision"
		}, "make the container"},
		"local": {func(t *testing.T, _ *bench) string {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			return filepath.Join(file, "warehouse")
		}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "azure" && testing.Short() {
				t.Skip("needs the emulator")
			}
			b := newBench(t, simulated.Config{Images: 300})
			address := tc.open(t, b)
			var err error
			if b.store, err = open.Open(t.Context(), address); err != nil {
				t.Fatal(err)
			}
			_, exportErr := b.export(t, b.request())
			nightErr := b.nightly(t, Choice{}, NightlyOptions{}).Projects[0].Err
			for job, err := range map[string]error{"export": exportErr, "nightly": nightErr} {
				if err == nil || !strings.Contains(err.Error(), tc.want) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: %v, want that it says %q", job, err, tc.want)
				}
			}
			if slices.ContainsFunc(b.service.Requests(), func(r simulated.Request) bool { return r.Page >= 0 }) {
				t.Error("pages were read all the same")
			}
		})
	}
}

// useS3 starts a server that speaks S3, with one bucket, for this machine's credentials.
func useS3(t *testing.T) {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-central-1",
		"AWS_CONFIG_FILE": "/nowhere", "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
	} {
		t.Setenv(name, value)
	}
}

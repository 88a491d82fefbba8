package jobs

import (
	"net/http/httptest"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
)

// A night into a bucket that S3's protocol reaches: the next has nothing to do,
// and everything verifies.
func TestNightlyToS3(t *testing.T) {
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
	b := newBench(t, simulated.Config{Seed: 2, Kind: simulated.Detection, Iterations: 3, Images: 300})
	var err error
	if b.store, err = load.OpenStore(t.Context(), "s3://bucket/vision"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 3})
	b.service.Modify(0, 1)
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 1, Present: 2})
	if report := b.verify(t); report.Iterations != 3 || report.Objects != 18 {
		t.Errorf("%+v", report)
	}
}

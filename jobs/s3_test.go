package jobs

import (
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store/open"
)

// A night into a bucket that S3's protocol reaches: the next has nothing to do,
// and everything verifies.
func TestNightlyToS3(t *testing.T) {
	useS3(t)
	b := newBench(t, simulated.Config{Seed: 2, Kind: simulated.Detection, Iterations: 3, Images: 300})
	var err error
	if b.store, err = open.Open(t.Context(), "s3://bucket/vision"); err != nil {
		t.Fatal(err)
	}
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 3})
	b.service.Modify(0, 1)
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{}), map[Outcome]int{Exported: 1, Present: 2})
	if report := b.verify(t); report.Iterations != 3 || report.Objects != 18 {
		t.Errorf("%+v", report)
	}
}

package jobs

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
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

// A server that ignores conditions could tear an iteration when two runs meet. It is refused
// before a page is read and before a table is written.
func TestCarelessServerIsRefused(t *testing.T) {
	for _, condition := range []string{"If-None-Match", "If-Match"} {
		gate := fakes.S3(t)
		gate.Interfere = storetest.Ignoring(condition)
		b := newBench(t, simulated.Config{Iterations: 2, Images: 300})
		var err error
		if b.store, err = open.Open(t.Context(), "s3://"+fakes.Bucket+"/vision"); err != nil {
			t.Fatal(err)
		}
		_, exportErr := b.export(t, b.request())
		night := b.nightly(t, Choice{}, NightlyOptions{})
		for _, err := range []error{exportErr, night.Projects[0].Iterations[0].Err, night.Projects[0].Iterations[1].Err} {
			if !errors.Is(err, store.ErrUnsafe) {
				t.Errorf("%s ignored: %v", condition, err)
			}
		}
		if slices.ContainsFunc(b.service.Requests(), func(r simulated.Request) bool { return r.Page >= 0 }) {
			t.Errorf("%s ignored: pages were read all the same", condition)
		}
		for obj, err := range b.store.List(t.Context(), "") {
			if err != nil || !strings.HasPrefix(obj.Key, "_cvexport/") {
				t.Errorf("%s ignored: wrote %s, %v", condition, obj.Key, err)
			}
		}
	}
}

package jobs

import (
	"testing"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

// A preview says how many requests and images the night then takes, leaves the warehouse
// as it was, and leaves out what is exported already.
func TestPreview(t *testing.T) {
	for _, images := range []int{3, 256, 600} {
		b := newBench(t, simulated.Config{Projects: 2, Iterations: 2, Training: 1, Images: images})
		r := Resource{Name: "test", Client: b.client, Store: b.store, Request: b.request()}
		f, err := Preview(t.Context(), r)
		if err != nil || f.Projects != 2 || f.Iterations != 4 || f.Counted != 4 || f.Images != int64(4*images) {
			t.Errorf("%+v, %v", f, err)
		}
		if n := len(b.snapshot(t)); n != 0 {
			t.Errorf("the preview has written %d objects", n)
		}
		if night := b.nightly(t, Choice{}, NightlyOptions{}); night.Stats.Requests != f.Requests {
			t.Errorf("%d images: %d requests, and %d were foreseen", images, night.Stats.Requests, f.Requests)
		}
		f, err = Preview(t.Context(), r)
		if err != nil || f.Projects != 2 || f.Iterations != 0 || f.Images != 0 {
			t.Errorf("afterwards: %+v, %v", f, err)
		}
	}
	b := newBench(t, simulated.Config{Projects: 6, Iterations: 17, Images: 1})
	f, err := Preview(t.Context(), Resource{Client: b.client, Store: b.store})
	if err != nil || f.Iterations != 102 || f.Counted != mostCounted || f.Images != mostCounted {
		t.Errorf("%+v, %v", f, err)
	}
	if want := int64(ofNight + 6*ofProject + 102*(ofIteration+1)); f.Requests != want {
		t.Errorf("%d requests, want %d", f.Requests, want)
	}
	other, err := extract.NewClient(extract.Options{Endpoint: b.server.URL, Key: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Preview(t.Context(), Resource{Client: other, Store: b.store}); !extract.AuthRefused(err) {
		t.Errorf("with another key: %v", err)
	}
}

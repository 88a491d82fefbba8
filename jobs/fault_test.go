package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
)

// Each fault either heals, and then every row is right, or fails with a message
// that names the page, and then the warehouse is as it was.
func TestFaults(t *testing.T) {
	const images = 600 // pages 0, 1 and 2
	// The short form tries "error once" and "cut off once" of these, and
	// TestServiceFailsAtEveryStep the answers at other requests.
	retried := []string{"slow page", "busy twice", "throttled once", "html error once", "html in place of json once", "reset once"}
	for name, tc := range map[string]struct {
		fault    simulated.Fault
		want     string // in the error; empty: it heals
		images   int64  // default images
		attempts int    // default 1
		first    int    // image that is still there
	}{
		"slow page":                  {fault: simulated.Fault{Kind: simulated.Slow, Page: 1, Times: 1, Delay: 100 * time.Millisecond}},
		"error once":                 {fault: simulated.Fault{Kind: simulated.Error500, Page: 1, Times: 1}},
		"error for good":             {fault: simulated.Fault{Kind: simulated.Error500, Page: 1}, want: "page 1 (images from 255): the service answered 500 ErrorUnknown: Unknown error"},
		"busy twice":                 {fault: simulated.Fault{Kind: simulated.Busy, Page: 1, Times: 2}},
		"busy for good":              {fault: simulated.Fault{Kind: simulated.Busy, Page: 1}, want: "page 1 (images from 255): the service answered 503"},
		"throttled once":             {fault: simulated.Fault{Kind: simulated.Throttle, Page: 1, Times: 1}},
		"html error once":            {fault: simulated.Fault{Kind: simulated.HTML, Page: 1, Times: 1}},
		"html error for good":        {fault: simulated.Fault{Kind: simulated.HTML, Page: 1}, want: "page 1 (images from 255): the service answered 502"},
		"html in place of json once": {fault: simulated.Fault{Kind: simulated.HTML200, Page: 1, Times: 1}},
		"html in place of json":      {fault: simulated.Fault{Kind: simulated.HTML200, Page: 1}, want: "200 with an error document"},
		"reset once":                 {fault: simulated.Fault{Kind: simulated.Reset, Page: 1, Times: 1}},
		"reset for good":             {fault: simulated.Fault{Kind: simulated.Reset, Page: 1}, want: "page 1 (images from 255): no answer"},
		"cut off once":               {fault: simulated.Fault{Kind: simulated.Truncated, Page: 1, Times: 1}},
		"cut off for good":           {fault: simulated.Fault{Kind: simulated.Truncated, Page: 1}, want: "page 1 (images from 255): image "},
		"missing id":                 {fault: simulated.Fault{Kind: simulated.MissingID, Page: 1}, want: "page 1 (images from 255): image 0, byte"},
		"number that does not fit":   {fault: simulated.Fault{Kind: simulated.BadNumber, Page: 2}, want: "page 2 (images from 510): image 89, byte"},
		"unknown field":              {fault: simulated.Fault{Kind: simulated.UnknownField, Page: 1}},
		"duplicate once":             {fault: simulated.Fault{Kind: simulated.Duplicate, Page: 1, Times: 1}, attempts: 2},
		"duplicate for good":         {fault: simulated.Fault{Kind: simulated.Duplicate, Page: 1}, want: "page 1: the images do not add up: image "},
		"count too high once":        {fault: simulated.Fault{Kind: simulated.WrongCount, Page: simulated.AnyPage, Times: 2}, attempts: 2},
		"count too high for good":    {fault: simulated.Fault{Kind: simulated.WrongCount, Page: simulated.AnyPage}, want: "600 distinct images were listed, the service counted 601 before and 601 after"},
		"count a page too low":       {fault: simulated.Fault{Kind: simulated.WrongCount, Page: simulated.AnyPage, By: -200}, want: "page 1: the images do not add up: the service counted 400 images, and lists 511 and more"},
		"image added while paging":   {fault: simulated.Fault{Kind: simulated.Added, Page: 1, Times: 1}, attempts: 2, images: images + 1},
		"image removed while paging": {fault: simulated.Fault{Kind: simulated.Removed, Page: 1, Times: 1}, attempts: 2, images: images - 1, first: 1},
		"replaced while paging":      {fault: simulated.Fault{Kind: simulated.Replaced, Page: 0, Times: 1}, attempts: 2, first: 1},
		"replaced at the end":        {fault: simulated.Fault{Kind: simulated.Replaced, Page: 1, Times: 1}, attempts: 2, first: 1},
		"replaced all the time":      {fault: simulated.Fault{Kind: simulated.Replaced, Page: 1}, want: "page 2: the images do not add up: it does not begin with image "},
		"relabelled while paging":    {fault: simulated.Fault{Kind: simulated.Relabelled, Page: 1, Times: 1}, attempts: 2},
		"relabelled all the time":    {fault: simulated.Fault{Kind: simulated.Relabelled, Page: 1}, want: "its tags, or how many images have them, have changed meanwhile (read 3 times"},
		"renamed while paging":       {fault: simulated.Fault{Kind: simulated.Renamed, Page: 1, Times: 1}, attempts: 2},
		"pages behind the last":      {fault: simulated.Fault{Kind: simulated.Endless, Page: simulated.AnyPage}, want: "page 3: the images do not add up: it lists 1 images behind the last one"},
		"count of a lie":             {fault: simulated.Fault{Kind: simulated.WrongCount, Page: simulated.AnyPage, By: 1<<31 - 1 - images}, want: "page 2: the images do not add up: the list ends after 600 images, the service counted 2147483647"},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && slices.Contains(retried, name) {
				t.Skip("heals like the others that are tried again")
			}
			t.Parallel()
			b := newBench(t, simulated.Config{Seed: 7, Kind: simulated.Multilabel, Images: images, Tags: 3})
			if tc.want != "" { // with an export that must not be touched
				if _, err := b.export(t, b.request()); err != nil {
					t.Fatal(err)
				}
			}
			before := b.snapshot(t)
			b.service.Fault(tc.fault)
			r := b.request()
			switch tc.fault.Kind {
			case simulated.Added, simulated.Removed, simulated.Replaced, simulated.Relabelled, simulated.Renamed:
				r.Concurrency = 1 // what was served before the change must not depend on luck
			}
			r.Force = true // a count that lies is not to be refused, but found out
			result, err := b.export(t, r)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("error %q does not say %q", err, tc.want)
				} else if project := b.request().Project.String(); !strings.Contains(err.Error(), project) {
					t.Errorf("error %q does not name project %s", err, project)
				}
				if !maps.Equal(before, b.snapshot(t)) {
					t.Error("the warehouse is not as it was")
				}
				b.verify(t)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantImages, wantAttempts := int64(images), 1
			if tc.images != 0 {
				wantImages = tc.images
			}
			if tc.attempts != 0 {
				wantAttempts = tc.attempts
			}
			if result.Export.Images() != wantImages || result.Attempts != wantAttempts {
				t.Errorf("%d images in %d attempts, want %d in %d", result.Export.Images(), result.Attempts, wantImages, wantAttempts)
			}
			compareRows(t, b, 0, 0, tc.first, int(wantImages))
			b.verify(t)
			if tc.fault.Kind == simulated.UnknownField && result.Unknown["brandNew"] != 1 {
				t.Errorf("unknown fields = %v", result.Unknown)
			}
		})
	}
}

// The service may list tags in another order each time.
func TestTagsInAnotherOrder(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 7, Images: 300})
	listings := 0
	b.server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/tags") {
			b.service.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		b.service.ServeHTTP(answer, r)
		var tags []json.RawMessage
		if err := json.Unmarshal(answer.Body.Bytes(), &tags); err != nil {
			t.Error(err)
		}
		if listings++; listings%2 == 0 {
			slices.Reverse(tags)
		}
		json.NewEncoder(w).Encode(tags)
	})
	result, err := b.export(t, b.request())
	if err != nil || result.Attempts != 1 || listings != 2 {
		t.Errorf("%d attempts, %d listings of tags, %v", result.Attempts, listings, err)
	}
	compareRows(t, b, 0, 0, 0, 300)
}

func TestWrongKeyIsAuthRefused(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 10, Key: "another"})
	if _, err := b.export(t, b.request()); !extract.AuthRefused(err) {
		t.Errorf("error = %v", err)
	}
}

// canceller interrupts an export at one of its steps.
type canceller struct {
	silent
	cancel    context.CancelFunc
	delivered int // pages until it does; -1: when publishing begins
}

func (c *canceller) Delivered(int) {
	if c.delivered--; c.delivered == 0 {
		c.cancel()
	}
}

func (c *canceller) Publishing() {
	if c.delivered < 0 {
		c.cancel()
	}
}

func TestInterruptLeavesTheWarehouse(t *testing.T) {
	for _, pages := range []int{1, 2, 3, -1} {
		b := newBench(t, simulated.Config{Images: 600})
		before := b.snapshot(t)
		ctx, cancel := context.WithCancel(t.Context())
		r := b.request()
		r.Progress = &canceller{cancel: cancel, delivered: pages}
		if _, err := b.exportContext(t, ctx, r); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted after %d pages: error = %v", pages, err)
		}
		cancel()
		if !maps.Equal(before, b.snapshot(t)) {
			t.Errorf("interrupted after %d pages: the warehouse is not as it was", pages)
		}
	}
}

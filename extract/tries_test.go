package extract

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

type nothing struct{}

func (nothing) ImageIDs() []schema.ID { return nil }
func (nothing) Release()              {}

// A page that cannot be decoded is fetched as often as the retries allow, three times at
// most, and the error says how often.
func TestPageTries(t *testing.T) {
	for retries, want := range map[int]int{-1: 1, 1: 2, 2: 3, 6: 3} {
		var pages atomic.Int32
		client := newTestClient(t, func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/count") {
				io.WriteString(w, "1")
				return
			}
			pages.Add(1)
			io.WriteString(w, "[]")
		}, func(o *Options) { o.Bounds.Retries = retries })
		broken := func(p Page) (nothing, error) {
			if p.Number > 0 {
				return nothing{}, nil
			}
			return nothing{}, errors.New("broken")
		}
		_, err := Read(t.Context(), client, Listing{Project: projectID, Iteration: iterationID, Concurrency: 1}, broken, func(nothing) error { return nil })
		said := fmt.Sprintf("page 0 (images from 0): broken (fetched %d times)", want)
		if want == 1 {
			said = "page 0 (images from 0): broken"
		}
		if err == nil || !strings.HasSuffix(err.Error(), said) || int(pages.Load()) != want {
			t.Errorf("%d retries: %d requests, error %v; want %d, %s", retries, pages.Load(), err, want, said)
		}
	}
}

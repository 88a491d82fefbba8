package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// changing is a service whose images come and go with the requests.
type changing struct {
	mu      sync.Mutex
	random  *rand.Rand
	images  []schema.ID
	next    uint32
	moments [][]schema.ID // every listing that there was
	changes int
}

func (c *changing) add() {
	c.next++
	c.images = append(slices.Clone(c.images), schema.ID{1, byte(c.next >> 16), byte(c.next >> 8), byte(c.next)})
}

// meddle removes or adds some, or replaces one, once in a while.
func (c *changing) meddle() {
	if c.random.IntN(6) > 0 || c.changes == 0 {
		return
	}
	c.changes--
	kind := c.random.IntN(3)
	if kind != 1 {
		at := c.random.IntN(len(c.images))
		c.images = slices.Delete(slices.Clone(c.images), at, at+1)
	}
	if kind != 0 {
		c.add()
	}
	c.moments = append(c.moments, c.images)
}

func (c *changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.meddle()
	if strings.HasSuffix(r.URL.Path, "/count") {
		fmt.Fprint(w, len(c.images))
		return
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("skip"))
	take, _ := strconv.Atoi(r.URL.Query().Get("take"))
	from, to := min(skip, len(c.images)), min(skip+take, len(c.images))
	json.NewEncoder(w).Encode(c.images[from:to])
}

// idPage is a page that is a list of ids.
type idPage struct {
	ids  []schema.ID
	skip int // repeated
}

func (p idPage) ImageIDs() []schema.ID { return p.ids }
func (idPage) Release()                {}

// However images come and go while several pages are read at once, what is
// delivered was the listing at one moment, or it is an error that says so.
func TestAChangingListingIsThatOfOneMoment(t *testing.T) {
	seeds, read, refused := uint64(150), 0, 0
	if os.Getenv("CVEXPORT_FAULTS") == "long" {
		seeds = 5000
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			service := &changing{random: rand.New(rand.NewPCG(seed, 5)), changes: int(seed % 4)}
			for range []int{255, 256, 257, 510, 511, 512, 700, 1100}[seed%8] {
				service.add()
			}
			service.moments = [][]schema.ID{service.images}
			client := newTestClient(t, service.ServeHTTP)
			var got []schema.ID
			n, err := Read(t.Context(), client, Listing{Project: projectID, Iteration: iterationID, Concurrency: 1 + int(seed%5)},
				func(p Page) (idPage, error) {
					page := idPage{skip: p.Repeated}
					return page, json.Unmarshal(p.Body, &page.ids)
				},
				func(p idPage) error { got = append(got, p.ids[min(p.skip, len(p.ids)):]...); return nil })
			service.mu.Lock() // a request that was given up may still be on its way there
			defer service.mu.Unlock()
			var incomplete *IncompleteError
			switch {
			case err == nil:
				read++
				if n != len(got) || !slices.ContainsFunc(service.moments, func(moment []schema.ID) bool { return slices.Equal(moment, got) }) {
					t.Errorf("%d images (%d told) that were the listing at no moment of %d", len(got), n, len(service.moments))
				}
			case errors.As(err, &incomplete) && len(service.moments) > 1:
				refused++
			default:
				t.Error(err)
			}
		})
	}
	t.Logf("FIGURES: of %d listings, most of which changed meanwhile, %d were read and %d refused", seeds, read, refused)
	if read < 10 || refused < 10 {
		t.Error("the test shows little")
	}
}

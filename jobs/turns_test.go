package jobs

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/pipeserver"
	"github.com/cvexport/cvexport/internal/simulated"
)

// A service that falls silent for one iteration, or one project, holds up the others for
// minutes; those are exported, and it gets the whole patience afterwards. If it answers
// by then, it is exported too.
func TestNightTakesTurns(t *testing.T) {
	// What the compressor makes once must not belong to a bubble.
	before := newBench(t, simulated.Config{Images: 10})
	if _, err := before.export(t, before.request()); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		silent func(r *http.Request, project, iteration string) bool
		back   time.Duration // when the service answers again
		want   map[Outcome]int
	}{
		"an iteration, for good": {func(r *http.Request, _, iteration string) bool {
			return strings.Contains(r.URL.Path, iteration) && strings.Contains(r.URL.Path, "/performance/images")
		}, 24 * time.Hour, map[Outcome]int{Exported: 5, Failed: 1}},
		"an iteration, for ten minutes": {func(r *http.Request, _, iteration string) bool { return strings.Contains(r.URL.Path, iteration) }, 10 * time.Minute, map[Outcome]int{Exported: 6}},
		"a project, for ten minutes":    {func(r *http.Request, project, _ string) bool { return strings.Contains(r.URL.Path, project) }, 10 * time.Minute, map[Outcome]int{Exported: 6}},
		"a project, for good":           {func(r *http.Request, project, _ string) bool { return strings.Contains(r.URL.Path, project) }, 24 * time.Hour, map[Outcome]int{Exported: 3}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service, err := simulated.New(simulated.Config{Seed: 3, Projects: 2, Iterations: 3, Images: 20})
				if err != nil {
					t.Fatal(err)
				}
				first := service.Projects()[0]
				started := time.Now()
				var others atomic.Int64 // how long after the start something else was asked for last
				endpoint := pipeserver.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if tc.silent(r, first.ID.String(), first.Iterations[0].ID.String()) {
						if time.Since(started) < tc.back {
							<-r.Context().Done()
							return
						}
					} else if strings.Contains(r.URL.Path, "/performance") {
						others.Store(int64(time.Since(started)))
					}
					service.ServeHTTP(w, r)
				}))
				client, err := extract.NewClient(extract.Options{Endpoint: endpoint, Key: "simulated", Rate: 1000})
				if err != nil {
					t.Fatal(err)
				}
				b := &bench{client: client, store: localStore(t), service: service}
				night := b.nightly(t, Choice{}, NightlyOptions{})
				wantOutcomes(t, night, tc.want)
				if held := time.Duration(others.Load()); held > 5*time.Minute && tc.back > time.Hour {
					t.Errorf("the others were held up for %s", held)
				}
				if took := time.Since(started); took > 30*time.Minute {
					t.Errorf("the night took %s", took)
				}
				if p := night.Projects[0]; tc.want[Exported] == 3 && p.Err == nil {
					t.Error("the project that could not be looked at has not failed")
				}
			})
		})
	}
}

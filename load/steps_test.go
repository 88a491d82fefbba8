package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/store/storetest/fakes"
	"github.com/cvexport/cvexport/schema"
)

// longForm is whether every fault is tried, not a part of them: make faults.
var longForm = os.Getenv("CVEXPORT_FAULTS") == "long"

// requestFailures are the ways in which one request to a store's server fails,
// or, for good, all from there on.
var requestFailures = []struct {
	name    string
	forGood bool
	fail    func(w http.ResponseWriter, r *http.Request, server http.Handler)
}{
	{"busy", false, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { storetest.Busy(w) }},
	{"busy for good", true, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { storetest.Busy(w) }},
	{"refused for good", true, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { w.WriteHeader(http.StatusForbidden) }},
	{"cut", false, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { storetest.Cut(w) }},
	{"cut for good", true, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { storetest.Cut(w) }},
	{"half sent", false, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		if r.ContentLength < 2 {
			storetest.Cut(w)
			return
		}
		storetest.Halfway(1, w, r, server)
	}},
	{"done, then cut", false, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		server.ServeHTTP(httptest.NewRecorder(), r)
		storetest.Cut(w)
	}},
	{"done, told as failure", false, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		server.ServeHTTP(httptest.NewRecorder(), r)
		storetest.Busy(w)
	}},
	{"half an answer", false, func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		whole := httptest.NewRecorder()
		server.ServeHTTP(whole, r)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		body := whole.Body.Bytes()
		fmt.Fprintf(conn, "HTTP/1.1 %d x\r\nContent-Length: %d\r\n", whole.Code, len(body)+1)
		whole.Header().Del("Content-Length")
		whole.Header().Write(conn)
		fmt.Fprintf(conn, "\r\n%s", body[:len(body)/2])
		conn.Close()
	}},
	{"hang", false, nil}, // until the run is cancelled
}

// testSteps exports and replaces an iteration while one request after the other
// fails in every way: each object is the old one or the new one, whole; Publish
// has not failed if all are new; Verify says what is mixed; and an undisturbed
// run makes everything right.
func testSteps(t *testing.T, open storetest.Opener, stride int) {
	switch {
	case longForm:
		stride = 1
	case testing.Short():
		stride *= 3
	}
	s, gate := open(t)
	gate.IsUpload = func(*http.Request) bool { return true }
	var meddle atomic.Pointer[storetest.Interference] // a request that was given up may still be on its way
	gate.Interfere = func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
		if now := meddle.Load(); now != nil {
			(*now)(n, w, r, server)
			return
		}
		server.ServeHTTP(w, r)
	}
	export := func(ctx context.Context, id schema.ID) error {
		prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
		if err == nil {
			_, err = Publish(ctx, s, newExport(id, projectA, iterationA), tables(t, id, images(id)), prior)
		}
		return err
	}
	failed, healed := 0, 0
	old, id := schema.ID{}, exportA
	for i, failure := range requestFailures {
		for at := int32(1); ; at++ {
			if (int(at)+i)%stride != 0 {
				continue
			}
			ctx, cancel := context.WithCancel(t.Context())
			var reached atomic.Bool
			gate.Uploads.Store(0)
			now := storetest.Interference(func(n int32, w http.ResponseWriter, r *http.Request, server http.Handler) {
				switch {
				case n != at && !(n > at && failure.forGood):
					server.ServeHTTP(w, r)
				case failure.fail == nil:
					reached.Store(true)
					cancel()
					storetest.Cut(w)
				default:
					reached.Store(true)
					failure.fail(w, r, server)
				}
			})
			meddle.Store(&now)
			err := export(ctx, id)
			meddle.Store(nil)
			cancel()
			if !reached.Load() {
				if err != nil {
					t.Fatalf("without a fault: %v", err)
				}
				old, id = id, other(id)
				break
			}
			if err == nil {
				healed++
			}
			if failure.fail == nil && !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}
			checkStep(t, s, old, id, err)
			if err := export(t.Context(), id); err != nil {
				t.Errorf("the next run: %v", err)
			}
			checkStep(t, s, id, id, nil)
			if failed++; t.Failed() {
				t.Fatalf("request %d, %s: %v", at, failure.name, err)
			}
			old, id = id, other(id)
		}
	}
	t.Logf("FIGURES: %d requests to a store's server failed one by one, of which %d healed at once", failed, healed)
	if healed == 0 || healed == failed {
		t.Error("all are alike: the test shows nothing")
	}
}

func TestGCSFailsAtEveryRequest(t *testing.T) {
	testSteps(t, func(t *testing.T) (store.Store, *storetest.Gate) { return fakes.OpenGCS(t, fakes.Bucket) }, 7)
}

func TestS3FailsAtEveryRequest(t *testing.T) {
	testSteps(t, func(t *testing.T) (store.Store, *storetest.Gate) { return fakes.OpenS3(t, fakes.Bucket) }, 7)
}

func other(id schema.ID) schema.ID {
	if id == exportA {
		return exportB
	}
	return exportA
}

func images(id schema.ID) int {
	if id == exportA {
		return 3
	}
	return 4
}

// checkStep reads every object, and checks that it is of the old export, if there
// was one, or of the new one, and that Verify says so.
func checkStep(t *testing.T, s store.Store, old, new schema.ID, runErr error) {
	t.Helper()
	ids := map[string]string{} // by table
	for _, table := range schema.Tables() {
		obj, err := s.Stat(t.Context(), table.Path(projectA, iterationA))
		if err != nil && old.IsZero() && runErr != nil {
			continue
		}
		body, readErr := readAll(t.Context(), s, obj.Key)
		if err := errors.Join(err, readErr); err != nil {
			t.Errorf("table %s: %v", table.Name, err)
			continue
		}
		id := exportIDOf(store.NewBytesSource(body), int64(len(body)))
		ids[table.Name] = id
		if id != new.String() && (runErr == nil || id != old.String()) {
			t.Errorf("table %s is of export %q; was %s, to be %s", table.Name, id, old, new)
		}
		for _, whole := range []schema.ID{old, new} {
			if id == whole.String() && table.Name != schema.Exports.Name && !slices.ContainsFunc(tables(t, whole, images(whole)), func(f *Table) bool {
				return f.table.Name == table.Name && f.Size() == int64(len(body)) && f.CRC32C() == store.NewBytesSource(body).CRC32C()
			}) {
				t.Errorf("table %s is not the file that was sent", table.Name)
			}
		}
	}
	var mixed []string
	committed := ids[schema.Exports.Name]
	for _, table := range schema.DataTables() {
		if committed != "" && ids[table.Name] != committed {
			mixed = append(mixed, table.Name)
		}
	}
	report, err := Verify(t.Context(), s, schema.Evaluation, t.TempDir(), nil)
	var found []string
	for _, f := range report.Findings {
		found = append(found, f.Table)
	}
	if err != nil || !slices.Equal(found, mixed) || (len(report.Uncommitted) > 0) != (committed == "" && len(ids) > 0) {
		t.Errorf("verify: %+v, %v; mixed are %s", report, err, strings.Join(mixed, ", "))
	}
}

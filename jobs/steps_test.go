package jobs

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/azurite"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// longForm is whether every fault is tried, not a part of them: make faults.
var longForm = os.Getenv("CVEXPORT_FAULTS") == "long"

// strideOf says of how many faults one is tried.
func strideOf(usual int) int {
	switch {
	case longForm:
		return 1
	case testing.Short():
		return 2 * usual
	}
	return usual
}

// steps is a warehouse in which one iteration is exported over and over, now
// with the content 0 and now with 1, while something fails.
type steps struct {
	contents [2]*extract.Client
	request  Request

	store  store.Store
	reader *reader // of the store's folder; nil: of a copy
	want   [2]map[string]seen
	held   int // the content it holds; -1: none
}

// newSteps makes the two contents: an iteration before and after images were added.
func newSteps(t *testing.T) *steps {
	t.Helper()
	s := &steps{held: -1}
	for i, images := range []int{3, 5} {
		s.contents[i], s.request = contentClient(t, images, nil)
		s.store = localStore(t)
		if err := s.run(t, t.Context(), s.store, i); err != nil {
			t.Fatal(err)
		}
		s.want[i] = map[string]seen{}
		r := newReader(t, s.store.URL(""))
		for _, table := range schema.Tables() {
			look, _, err := r.look(table)
			if err != nil {
				t.Fatal(err)
			}
			s.want[i][table.Name] = look
		}
	}
	for table, look := range s.want[0] {
		if look == s.want[1][table] || look.Rows == 0 {
			t.Fatalf("the contents cannot be told apart by their %s", table)
		}
	}
	return s
}

// contentClient is a client of a service with so many images, behind what front
// puts before it.
func contentClient(t *testing.T, images int, front func(http.Handler) http.Handler) (*extract.Client, Request) {
	t.Helper()
	return contentClientOf(t, images, front, serveHTTP)
}

func serveHTTP(t testing.TB, handler http.Handler) (endpoint string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

func contentClientOf(t *testing.T, images int, front func(http.Handler) http.Handler, serve func(testing.TB, http.Handler) string) (*extract.Client, Request) {
	t.Helper()
	simulation, err := simulated.New(simulated.Config{Seed: 9, Kind: simulated.Detection, Images: images, Predictions: 2})
	if err != nil {
		t.Fatal(err)
	}
	var handler http.Handler = simulation
	if front != nil {
		handler = front(handler)
	}
	client, err := extract.NewClient(extract.Options{
		Endpoint: serve(t, handler), Key: "simulated", Rate: 1e6, Bounds: patience.Bounds{Retries: 1, Delay: time.Nanosecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, Request{
		Project: simulation.Projects()[0].ID, Iteration: simulation.Projects()[0].Iterations[0].ID.String(), Concurrency: 1,
		ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, Version: "test", Force: true,
	}
}

func localStore(t *testing.T) store.Store {
	t.Helper()
	s, err := open.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run exports a content into a store, and checks that it gives all memory and
// all temporary files back.
func (s *steps) run(t *testing.T, ctx context.Context, store store.Store, content int) error {
	return s.export(t, ctx, s.contents[content], store)
}

func (s *steps) export(t *testing.T, ctx context.Context, client *extract.Client, store store.Store) error {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	r := s.request
	r.Memory, r.SpoolDir = mem, t.TempDir()
	_, err := Export(ctx, client, store, r)
	mem.AssertSize(t, 0)
	if left, dirErr := os.ReadDir(r.SpoolDir); dirErr != nil || len(left) > 0 {
		t.Errorf("the spool folder holds %v, %v", left, dirErr)
	}
	return err
}

// use goes on with an empty warehouse.
func (s *steps) use(t *testing.T, store store.Store, folder string) {
	s.store, s.held, s.reader = store, -1, nil
	if folder != "" {
		s.reader = newReader(t, folder)
	}
}

// check looks at what a run with a fault left of an export of a content. Every
// table is whole and as it was, or whole and new; all of them are new if the run
// says so; verify and the views say the same.
func (s *steps) check(t *testing.T, content int, runErr error) {
	t.Helper()
	r := s.reader
	if r == nil {
		r = newReader(t, mirror(t, s.store))
	}
	exports := map[string]string{} // by table
	for _, table := range schema.Tables() {
		if !r.has(table) {
			if s.held >= 0 || runErr == nil {
				t.Errorf("table %s is gone", table.Name)
			}
			continue
		}
		look, by, err := r.look(table)
		if err != nil {
			t.Error(err)
			continue
		}
		exports[table.Name] = by
		isOld, isNew := s.held >= 0 && look == s.want[s.held][table.Name], look == s.want[content][table.Name]
		if !isOld && !isNew || runErr == nil && !isNew || strings.Contains(by, " ") {
			t.Errorf("table %s has %+v of export %s, which is neither the old one nor the new one; the run ended with %v", table.Name, look, by, runErr)
		}
	}
	committed := exports[schema.Exports.Name]
	var mixed, uncommitted []string // tables
	for _, table := range schema.DataTables() {
		switch by, there := exports[table.Name]; {
		case there && committed == "":
			uncommitted = append(uncommitted, table.Name)
		case by != committed:
			mixed = append(mixed, table.Name)
		}
	}
	s.verify(t, committed, mixed, uncommitted)
	if longForm || len(mixed)+len(uncommitted) > 0 { // they take as long as all the rest
		s.views(t, r, committed, mixed)
	}
}

// verify checks that verify says what is the matter.
func (s *steps) verify(t *testing.T, committed string, mixed, uncommitted []string) {
	t.Helper()
	report, err := load.Verify(t.Context(), s.store, schema.Evaluation, t.TempDir(), nil)
	if err != nil {
		t.Error(err)
	}
	var found, without []string
	for _, f := range report.Findings {
		found = append(found, f.Table)
	}
	for _, key := range report.Uncommitted {
		table, _, _ := strings.Cut(key, "/")
		without = append(without, table)
	}
	slices.Sort(uncommitted)
	if !slices.Equal(found, mixed) || !slices.Equal(without, uncommitted) || (report.Iterations == 1) != (committed != "") {
		t.Errorf("verify found %v, %v without a commit, %d exports; the tables say %v, %v, export %q", found, without, report.Iterations, mixed, uncommitted, committed)
	}
}

// views checks that the views show nothing without a commit, and tell what is mixed.
func (s *steps) views(t *testing.T, r *reader, committed string, mixed []string) {
	t.Helper()
	if err := r.views(); err != nil {
		t.Error(err)
		return
	}
	health, err := r.count("SELECT count(*) FROM export_health")
	if err != nil || int(health) != len(mixed) {
		t.Errorf("export_health has %d rows, %v; %v are of another export", health, err, mixed)
	}
	shown, err := r.count("SELECT count(*) FROM current_images")
	if err != nil || (shown > 0) != (committed != "") {
		t.Errorf("current_images has %d rows, %v; the committed export is %q", shown, err, committed)
	}
}

// repair runs undisturbed, after which everything is new.
func (s *steps) repair(t *testing.T, content int) {
	t.Helper()
	if err := s.run(t, t.Context(), s.store, content); err != nil {
		t.Errorf("the next run: %v", err)
		return
	}
	s.check(t, content, nil)
	s.held = content
}

// place opens new, empty warehouses of one kind, and says in which folder they
// lie, if they do.
type place func(t *testing.T) (store store.Store, folder string)

func places() map[string]func(t *testing.T) place {
	numbered := func(address string) place {
		n := 0
		return func(t *testing.T) (store.Store, string) {
			n++
			s, err := open.Open(t.Context(), fmt.Sprintf("%s/%d", address, n))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return s, ""
		}
	}
	return map[string]func(t *testing.T) place{
		"local": func(*testing.T) place {
			return func(t *testing.T) (store.Store, string) {
				s := localStore(t)
				return s, s.URL("")
			}
		},
		"gcs": func(t *testing.T) place {
			folder := startGCS(t)
			open := numbered("gs://bucket")
			return func(t *testing.T) (store.Store, string) {
				s, _ := open(t)
				return s, filepath.Join(folder, strings.TrimPrefix(s.URL(""), "gs://"))
			}
		},
		"s3": func(t *testing.T) place {
			useS3(t)
			return numbered("s3://bucket")
		},
		"azure": func(t *testing.T) place {
			connection := azurite.Start(t).ConnectionString
			t.Setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
			client, err := service.NewClientFromConnectionString(connection, nil)
			if err == nil {
				_, err = client.CreateContainer(t.Context(), "bucket", nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			return numbered("azblob://bucket")
		},
	}
}

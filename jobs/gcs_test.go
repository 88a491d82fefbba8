package jobs

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/fsouza/fake-gcs-server/fakestorage"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
)

// useGCS puts the warehouse on a server that speaks Google Cloud Storage.
func (b *bench) useGCS(t *testing.T) {
	t.Helper()
	folder := startGCS(t)
	var err error
	if b.store, err = open.Open(t.Context(), "gs://bucket/vision"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.store.Close(); err != nil {
			t.Error(err)
		}
	})
	b.root = filepath.Join(folder, "bucket", "vision")
}

// startGCS starts a server that speaks Google Cloud Storage and keeps its objects
// as plain files, which DuckDB reads in place, in the folder.
func startGCS(t *testing.T) (folder string) {
	t.Helper()
	var server *fakestorage.Server
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.HTTPHandler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	host, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	server, err = fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener: true, Scheme: "http", ExternalURL: front.URL, PublicHost: host.Host, StorageRoot: folder,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "bucket"})
	t.Setenv("STORAGE_EMULATOR_HOST", host.Host)
	return folder
}

func TestExportToGCS(t *testing.T) {
	b := newBench(t, simulated.Config{Seed: 4, Kind: simulated.Detection, Images: 700})
	b.useGCS(t)
	for _, replaces := range []bool{false, true} {
		result, err := b.export(t, b.request())
		if err != nil {
			t.Fatal(err)
		}
		if (result.Replaced != nil) != replaces {
			t.Errorf("replaced %v", result.Replaced)
		}
		compareRows(t, b, 0, 0, 0, 700)
		if report := b.verify(t); report.Objects != 6 {
			t.Errorf("verified %+v", report)
		}
	}
	b.service.Fault(simulated.Fault{Kind: simulated.MissingID, Page: 2})
	if _, err := b.export(t, b.request()); err == nil {
		t.Error("no error")
	}
	compareRows(t, b, 0, 0, 0, 700)
}

// meddler is somebody else who exports the same iteration meanwhile.
type meddler struct {
	silent
	meddle func()
}

func (m *meddler) Publishing() { m.meddle() }

func TestTwoRunsAtOnce(t *testing.T) {
	for _, where := range []string{"local", "gcs"} {
		t.Run(where, func(t *testing.T) {
			b := newBench(t, simulated.Config{Images: 300})
			if where == "gcs" {
				b.useGCS(t)
			}
			var other Result
			r := b.request()
			r.Progress = &meddler{meddle: func() {
				var err error
				if other, err = b.export(t, b.request()); err != nil {
					t.Fatal(err)
				}
			}}
			if _, err := b.export(t, r); !errors.Is(err, store.ErrConflict) {
				t.Errorf("the second to publish: %v", err)
			}
			b.verify(t)
			got, _, err := load.ReadExport(t.Context(), b.store, other.Export.Project, other.Export.Iteration)
			if err != nil || got.ExportID != other.Export.ExportID {
				t.Errorf("committed %s, %v; want %s", got.ExportID, err, other.Export.ExportID)
			}
		})
	}
}

func TestNothingExportedYet(t *testing.T) {
	b := newBench(t, simulated.Config{Images: 1})
	p := b.service.Projects()[0]
	if _, _, err := load.ReadExport(t.Context(), b.store, p.ID, p.Iterations[0].ID); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
	if report := b.verify(t); report.Iterations != 0 {
		t.Errorf("verified %+v", report)
	}
}

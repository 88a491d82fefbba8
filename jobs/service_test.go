package jobs

import (
	"context"
	"crypto/sha256"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// bench is a simulated service, a client of it, and an empty warehouse.
type bench struct {
	service *simulated.Service
	server  *httptest.Server
	client  *extract.Client
	store   store.Store
	root    string
}

func newBench(t testing.TB, config simulated.Config) *bench {
	t.Helper()
	b := &bench{root: t.TempDir()}
	b.useService(t, config)
	var err error
	if b.store, err = open.Open(t.Context(), b.root); err != nil {
		t.Fatal(err)
	}
	return b
}

// useService puts another service before the same warehouse.
func (b *bench) useService(t testing.TB, config simulated.Config) {
	t.Helper()
	service, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	b.service, b.server = service, server
	b.client, err = extract.NewClient(extract.Options{
		Endpoint: server.URL, Key: "simulated", Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) request() Request {
	return Request{
		Project: b.service.Projects()[0].ID, Iteration: Latest, Concurrency: 4,
		ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, Version: "test",
	}
}

// export runs an export, and checks that it gives all its memory back.
func (b *bench) export(t testing.TB, r Request) (Result, error) {
	t.Helper()
	return b.exportContext(t, t.Context(), r)
}

func (b *bench) exportContext(t testing.TB, ctx context.Context, r Request) (Result, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	r.Memory, r.SpoolDir = mem, t.TempDir()
	result, err := Export(ctx, b.client, b.store, r)
	mem.AssertSize(t, 0)
	if left, dirErr := os.ReadDir(r.SpoolDir); dirErr != nil || len(left) > 0 {
		t.Errorf("the spool folder holds %v, %v", left, dirErr)
	}
	return result, err
}

// verify fails the test if anything in the warehouse is wrong.
func (b *bench) verify(t testing.TB) load.Report {
	t.Helper()
	report, err := load.Verify(t.Context(), b.store, schema.Evaluation, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("verify: %s", f)
	}
	return report
}

// snapshot is every object of the warehouse, by name, with its content's hash.
func (b *bench) snapshot(t testing.TB) map[string][32]byte {
	t.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(b.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) == ".lock" {
			return err
		}
		body, err := os.ReadFile(path)
		files[path] = sha256.Sum256(body)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

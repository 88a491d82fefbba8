//go:build !windows

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// harness runs the command as a process, with a service and a warehouse.
type harness struct {
	path string
	args []string
	env  []string
	root string
	tmp  string

	requests atomic.Int64 // of the current process
	hold     atomic.Int64 // if set, later requests are not answered
}

func newHarness(t *testing.T, service *simulated.Service) *harness {
	t.Helper()
	h := &harness{root: t.TempDir(), tmp: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, hold := h.requests.Add(1), h.hold.Load()
		if hold > 0 && n >= hold {
			<-r.Context().Done()
			return
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.env = append(os.Environ(), "VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY=simulated", "TMPDIR="+h.tmp)
	if testing.Short() {
		h.path, h.env = os.Args[0], append(h.env, asCommand+"=1")
	} else {
		var err error
		if h.path, err = built(); err != nil {
			t.Fatal(err)
		}
	}
	h.args = []string{"export", "--project", service.Projects()[0].ID.String(), "--iteration", "latest", "--warehouse", h.root, "--rate", "100000"}
	return h
}

func (h *harness) command() *exec.Cmd {
	cmd := exec.Command(h.path, h.args...)
	cmd.Env = h.env
	return cmd
}

// built builds the command as users have it; it starts many times faster than the
// test binary. TestMain removes it.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtFolder, "cvexport")
	cmd := exec.Command("go", "build", "-ldflags", buildFlags, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the command: %w: %s", err, out)
	}
	return path, nil
})

// objects reads every Parquet file of the warehouse, and fails the test if one is
// broken or if a temporary file's name matches the glob of a query.
func (h *harness) objects(t *testing.T) map[string]string {
	t.Helper()
	objects := map[string]string{}
	err := filepath.WalkDir(h.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		if entry.Name() != "data.parquet" {
			t.Errorf("a glob would read %s", path)
		}
		f, err := file.OpenParquetFile(path, false)
		if err != nil {
			t.Errorf("%s is broken: %v", path, err)
			return nil
		}
		objects[path] = *f.MetaData().KeyValueMetadata().FindValue("cvexport.export_id")
		return f.Close()
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return objects
}

func (h *harness) verify(t *testing.T) load.Report {
	t.Helper()
	store, err := open.Open(t.Context(), h.root)
	if err != nil {
		t.Fatal(err)
	}
	report, err := load.Verify(t.Context(), store, schema.Evaluation, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// killAt runs the command and kills it once it has sent so many requests and replaced
// so many objects. It reports whether the command was still running.
func (h *harness) killAt(t *testing.T, requests, objects int) bool {
	t.Helper()
	before := h.files(t)
	h.requests.Store(0)
	cmd := h.command()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for int(h.requests.Load()) < requests || h.replaced(t, before) < objects {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			return false
		default:
			runtime.Gosched()
		}
	}
	cmd.Process.Kill() // fails if it has just ended
	err := <-ended
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return err != nil
}

// files returns the objects of the warehouse.
func (h *harness) files(t *testing.T) map[string]fs.FileInfo {
	t.Helper()
	files := map[string]fs.FileInfo{}
	err := filepath.WalkDir(h.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "data.parquet" {
			files[path], err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) { // a temporary file that is gone by now
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// replaced counts the objects that are new or other files than before.
func (h *harness) replaced(t *testing.T, before map[string]fs.FileInfo) int {
	n := 0
	for path, info := range h.files(t) {
		if old := before[path]; old == nil || !os.SameFile(old, info) {
			n++
		}
	}
	return n
}

// Killed at any moment, an export leaves complete objects, no temporary file that a
// query would read, and a warehouse that the next run repairs.
func TestKillAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it kills processes")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 1500})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	requests := int(b.requests.Load())
	random := rand.New(rand.NewPCG(1, 2))
	killed, mixed := 0, 0
	for range 30 {
		// Reading takes so many requests, publishing six objects.
		step := 1 + random.IntN(requests+6)
		reading := step <= requests
		b.hold.Store(0)
		if reading {
			b.hold.Store(int64(step))
		}
		if b.killAt(t, min(step, requests), max(step-requests, 0)) {
			killed++
		} else if reading {
			t.Errorf("it ended before request %d", step)
		}
		exports := map[string]bool{}
		for _, id := range b.objects(t) {
			exports[id] = true
		}
		if len(exports) > 1 {
			mixed++
		}
		if left, err := os.ReadDir(b.tmp); err != nil || len(left) > 0 {
			t.Fatalf("spool files are left: %v, %v", left, err)
		}
	}
	t.Logf("%d of 30 runs were killed, %d between two objects", killed, mixed)
	b.hold.Store(0)
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if report := b.verify(t); len(report.Findings) > 0 || report.Iterations != 1 {
		t.Errorf("after the next run: %+v", report)
	}
	err = filepath.WalkDir(b.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && entry.Name() != "data.parquet" && entry.Name() != ".cvexport.lock" {
			t.Errorf("left over: %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A signal before an export publishes ends it with 130 and leaves the warehouse as it was.
func TestSignalsLeaveTheWarehouse(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		service, err := simulated.New(simulated.Config{Seed: 2, Images: 600})
		if err != nil {
			t.Fatal(err)
		}
		b := newHarness(t, service)
		if out, err := b.command().CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		before := b.objects(t)
		service.Fault(simulated.Fault{Kind: simulated.Slow, Page: 1, Delay: time.Hour})
		cmd := b.command()
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		seen := len(service.Requests())
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for asked := false; !asked; { // until it requests page 1, which is not answered
			select {
			case err := <-ended:
				t.Fatalf("it ended before it was interrupted: %v; %s", err, &stderr)
			default:
			}
			for _, r := range service.Requests()[seen:] {
				asked = asked || r.Page == 1
			}
			runtime.Gosched()
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		var exit *exec.ExitError
		if err := <-ended; !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
			t.Errorf("%s: %v, want exit code %d; %s", signal, err, exitInterrupted, &stderr)
		}
		if !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("%s: it printed %s", signal, &stderr)
		}
		if !maps.Equal(before, b.objects(t)) {
			t.Errorf("%s: the warehouse is not as it was", signal)
		}
	}
}

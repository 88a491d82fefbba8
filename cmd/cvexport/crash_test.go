//go:build !windows

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/open"
)

// crashBench is a service and a warehouse for the command as a process.
type crashBench struct {
	path string
	args []string
	env  []string
	root string
	tmp  string
}

func newCrashBench(t *testing.T, service *simulated.Service) *crashBench {
	t.Helper()
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	b := &crashBench{path: path, root: t.TempDir(), tmp: t.TempDir()}
	b.args = []string{"export", "--project", service.Projects()[0].ID.String(), "--iteration", "latest", "--warehouse", b.root, "--rate", "100000"}
	b.env = append(os.Environ(), "VISION_TRAINING_ENDPOINT="+server.URL, "VISION_TRAINING_KEY=simulated", "TMPDIR="+b.tmp)
	return b
}

func (b *crashBench) command() *exec.Cmd {
	cmd := exec.Command(b.path, b.args...)
	cmd.Env = b.env
	return cmd
}

// built is the command as users have it, which starts many times faster than one
// with the race detector in it. TestMain removes it.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builtFolder, "cvexport")
	cmd := exec.Command("go", "build", "-ldflags", buildFlags, "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the command: %w: %s", err, out)
	}
	return path, nil
})

// objects reads every Parquet file of the warehouse in full, and fails the test
// if one is broken or if a temporary file has a name that a glob looks for.
func (b *crashBench) objects(t *testing.T) map[string]string {
	t.Helper()
	objects := map[string]string{}
	err := filepath.WalkDir(b.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		if entry.Name() != "data.parquet" {
			t.Errorf("a glob would read %s", path)
		}
		f, err := file.OpenParquetFile(path, false)
		if err != nil {
			t.Errorf("%s is not whole: %v", path, err)
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

func (b *crashBench) verify(t *testing.T) load.Report {
	t.Helper()
	store, err := open.Open(t.Context(), b.root)
	if err != nil {
		t.Fatal(err)
	}
	report, err := load.Verify(t.Context(), store, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Killed at any moment, the export leaves whole objects, nothing for a glob to
// trip over, and a warehouse that the next run makes right.
func TestKillAtAnyMoment(t *testing.T) {
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 1500})
	if err != nil {
		t.Fatal(err)
	}
	b := newCrashBench(t, service)
	started := time.Now()
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := time.Since(started)
	random := rand.New(rand.NewPCG(1, 2))
	killed, mixed := 0, 0
	for range 30 {
		cmd := b.command()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(whole)*6/5)), func() { cmd.Process.Kill() })
		var exit *exec.ExitError
		if err := cmd.Wait(); errors.As(err, &exit) && exit.ExitCode() == -1 {
			killed++
		} else if err != nil {
			t.Fatal(err)
		}
		timer.Stop()
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
	if killed == 0 {
		t.Error("no run was killed: the test shows nothing")
	}
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

// A signal before the publishing ends it with 130 and leaves what was there.
func TestSignalsLeaveTheWarehouse(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		service, err := simulated.New(simulated.Config{Seed: 2, Images: 600})
		if err != nil {
			t.Fatal(err)
		}
		b := newCrashBench(t, service)
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
		for asked := false; !asked; { // until page 1 is asked for, which will not answer
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
			t.Errorf("%s: it says %s", signal, &stderr)
		}
		if !maps.Equal(before, b.objects(t)) {
			t.Errorf("%s: the warehouse is not as it was", signal)
		}
	}
}

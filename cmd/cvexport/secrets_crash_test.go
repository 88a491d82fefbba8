//go:build !windows

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/internal/operation/ping"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/secret/secrettest"
)

// The goroutine dump and the spool files of a program that is killed hold no secret.
func TestSecretsStayOutOfCrashes(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it kills processes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("it needs /proc")
	}
	secrets := secrettest.New(-1)
	service, err := simulated.New(simulated.Config{Seed: 2, Images: 600, Key: secrets.Key})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	b.env = append(b.env, "VISION_TRAINING_KEY="+secrets.Key, "GOTRACEBACK=all", "AZURE_STORAGE_SAS_TOKEN=sig="+secrets.SAS)
	service.Fault(simulated.Fault{Kind: simulated.Slow, Page: 2, Delay: 1 << 40})
	cmd := b.command()
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for !slices.ContainsFunc(service.Requests(), func(r simulated.Request) bool { return r.Page == 2 }) {
		select {
		case err := <-ended:
			t.Fatalf("it ended before it asked for page 2: %v: %s", err, &output)
		default:
			runtime.Gosched()
		}
	}
	open := fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid)
	entries, err := os.ReadDir(open)
	if err != nil {
		t.Fatal(err)
	}
	spools := 0
	for _, entry := range entries {
		path := filepath.Join(open, entry.Name())
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, b.tmp) {
			body, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			spools++
			secrets.Search(t, target, body)
			if bytes.Contains(body, []byte(imageToken)) {
				t.Errorf("%s holds an image's token", target)
			}
		}
	}
	if spools != 5 {
		t.Errorf("%d spool files are open, want 5", spools)
	}
	if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := <-ended; !errors.As(err, &exit) || !strings.Contains(output.String(), "goroutine ") {
		t.Errorf("%v: %s", err, &output)
	}
	secrets.Search(t, "the crash dump", output.Bytes())
	secrets.SearchFolder(t, b.root, nil)
	secrets.SearchFolder(t, b.tmp, nil)
}

// The value of a panic is printed without secrets, and the program ends as in a crash.
func TestPanicIsRedacted(t *testing.T) {
	if os.Getenv("CVEXPORT_TEST_PANIC") != "" {
		defer endPanic(os.Stderr)
		to, err := ping.Parse(os.Getenv("CVEXPORT_PING"))
		if err != nil {
			t.Fatal(err)
		}
		told := &ping.Run{}
		told.Begin(t.Context(), to, userAgent())
		defer tellPanic(t.Context(), told, new(bool))
		panic("https://host/?sig=" + os.Getenv("CVEXPORT_TEST_PANIC") + "\ncvexport: forged")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestPanicIsRedacted$")
	told := make(chan string, 2)
	monitor := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what there is
		told <- r.URL.Path + " " + string(body)
	}))
	defer monitor.Close()
	cmd.Env = append(os.Environ(), "CVEXPORT_TEST_PANIC="+secrettest.New(0).SAS, "CVEXPORT_PING="+monitor.URL)
	output, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(output, []byte("panic: https://host/?sig=REDACTED\n  cvexport: forged")) || !bytes.Contains(output, []byte("SIGABRT")) {
		t.Errorf("%v: %s", err, output)
	}
	secrettest.New(0).Search(t, "the output", output)
	monitor.Close()
	close(told)
	if start, end := <-told, <-told; start != "/start " || !strings.HasPrefix(end, "/fail exit code 134: a bug") {
		t.Errorf("the monitor was told %q and %q", start, end)
	}
}

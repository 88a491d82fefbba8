//go:build !windows

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/simulated"
)

// On a machine that lacks something, an export ends with the documented code and a
// message that says what to do, and leaves the earlier export as it was.
func TestScarceMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it limits memory, disks and files")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, b *harness)
		limit   string // as a command of the shell
		code    int
		want    string
	}{
		"files are limited":       {nil, "ulimit -f 100", exitFailed, "file too large; free some space for temporary files, or use another folder for them"},
		"no folder for the spool": {func(_ *testing.T, b *harness) { b.args = append(b.args, "--spool", "/no/such/folder") }, "", exitFailed, "/no/such/folder.*create the folder, or use another one for temporary files"},
		"spool disk full": {func(t *testing.T, b *harness) {
			b.args = append(b.args, "--spool", smallDisk(t, "200k"))
		}, "", exitFailed, "no space left on device; free some space for temporary files, or use another folder for them"},
		"warehouse disk full": {func(t *testing.T, b *harness) {
			b.moveTo(t, smallDisk(t, "3m"))
			fill(t, b.root, 300<<10)
		}, "", exitFailed, "not written: write to .* bytes are free and .* needed: no space left on device; free some space for the warehouse"},
		"read-only warehouse": {func(t *testing.T, b *harness) {
			disk := smallDisk(t, "3m")
			b.moveTo(t, disk)
			command(t, "mount", "-o", "remount,ro", disk)
		}, "", exitFailed, "read-only file system; check the warehouse's address"},
		"64 open files": {func(_ *testing.T, b *harness) { b.args = append(b.args, "--concurrency", "64") }, "ulimit -n 64", exitDone, ""},
		"12 open files": {nil, "ulimit -n 12", exitFailed, "too many open files; raise the limit of open files, as ulimit -n does"},
		"little memory": {func(_ *testing.T, b *harness) { b.env = append(b.env, "GOMEMLIMIT=40MiB") }, "", exitDone, ""},
		"clock set back": {func(t *testing.T, b *harness) {
			later := time.Now().AddDate(10, 0, 0)
			for path := range b.objects(t) {
				if err := os.Chtimes(path, later, later); err != nil {
					t.Fatal(err)
				}
			}
		}, "", exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHarness(t, service)
			if out, err := b.command().CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if tc.prepare != nil {
				tc.prepare(t, b)
			}
			before := b.objects(t)
			code, output := b.limited(t, tc.limit)
			if code != tc.code || !regexp.MustCompile(tc.want).MatchString(output) {
				t.Errorf("exit code %d, want %d; it printed %s", code, tc.code, output)
			}
			after := b.objects(t)
			if len(after) != 6 || code != exitDone && !maps.Equal(before, after) {
				t.Error("the warehouse is not as it was")
			}
			for key, id := range after {
				if code == exitDone && id == before[key] {
					t.Errorf("%s is the old one", key)
				}
			}
			if report := b.verify(t); len(report.Findings)+len(report.Uncommitted) > 0 || report.Iterations != 1 {
				t.Errorf("verify: %+v", report)
			}
		})
	}
}

// limited runs the command under a limit that a shell sets.
func (h *harness) limited(t *testing.T, limit string) (code int, output string) {
	t.Helper()
	cmd := h.command()
	if limit != "" {
		shell, err := exec.LookPath("bash")
		if err != nil {
			t.Skip("no bash to set limits with")
		}
		cmd.Args = append([]string{"bash", "-c", limit + ` && exec "$0" "$@"`, cmd.Path}, h.args...)
		cmd.Path = shell
	}
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if code = exit.ExitCode(); code < 0 { // as a shell reports it
			code = 128 + int(exit.Sys().(syscall.WaitStatus).Signal())
		}
	} else if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	return code, out.String()
}

// moveTo copies the warehouse to a folder, and goes on there.
func (h *harness) moveTo(t *testing.T, folder string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(folder, "warehouse"), os.DirFS(h.root)); err != nil {
		t.Fatal(err)
	}
	for i, arg := range h.args {
		if arg == h.root {
			h.args[i] = filepath.Join(folder, "warehouse")
		}
	}
	h.root = filepath.Join(folder, "warehouse")
}

// smallDisk mounts a disk in memory, if that is possible.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", folder).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { command(t, "umount", folder) })
	return folder
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v: %s", name, args, err, out)
	}
}

// fill fills a disk except for so many bytes.
func fill(t *testing.T, folder string, left int) {
	t.Helper()
	f, err := os.Create(filepath.Join(folder, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 16<<10); err == nil; {
		_, err = f.Write(block)
	}
	info, err := f.Stat()
	if err == nil {
		err = f.Truncate(info.Size() - int64(left))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// When the system has no more memory, the program aborts with the exit code of that,
// without a core, which would hold the key. The earlier export stays.
func TestOutOfMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it limits memory")
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("it depends on the address space that Go uses on linux/amd64")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 1000})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/performance/images") { // four pages of 64 MiB at the same time
			space := bytes.Repeat([]byte(" "), 1<<20)
			for range 64 {
				w.Write(space) // if it fails, so does the rest
			}
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.env = append(b.env, "VISION_TRAINING_ENDPOINT="+server.URL)
	if code, output := b.limited(t, ""); code != exitDone {
		t.Fatalf("exit code %d: %s", code, output)
	}
	before := b.objects(t)
	enough := 0
	for kilobytes := 700_000; enough == 0 && kilobytes < 3_000_000; kilobytes += 20_000 {
		shell := exec.Command("bash", "-c", fmt.Sprintf(`ulimit -v %d && exec "$0" --version`, kilobytes), b.path)
		if shell.Run() == nil {
			enough = kilobytes + 70_000 // one more piece of address space, as Go takes them
		}
	}
	code, output := b.limited(t, fmt.Sprintf("ulimit -c unlimited && ulimit -v %d", enough))
	if code != 128+int(syscall.SIGABRT) || !strings.Contains(output, "out of memory") {
		t.Errorf("exit code %d: %.2000s", code, output)
	}
	if !maps.Equal(before, b.objects(t)) {
		t.Error("the warehouse is not as it was")
	}
	err = filepath.WalkDir(b.tmp, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			t.Errorf("it left %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

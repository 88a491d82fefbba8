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

// A machine that lacks something: each ends with the documented code and a message
// that says what to do, and leaves the export that was there.
func TestScarceMachine(t *testing.T) {
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 2000})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, b *crashBench)
		limit   string // as a command of the shell
		code    int
		want    string
	}{
		"files are limited":       {nil, "ulimit -f 100", exitFailed, "file too large; free some space for temporary files, or use another folder for them"},
		"no folder for the spool": {func(_ *testing.T, b *crashBench) { b.args = append(b.args, "--spool", "/no/such/folder") }, "", exitFailed, "/no/such/folder.*make the folder, or use another one for temporary files"},
		"spool disk full": {func(t *testing.T, b *crashBench) {
			b.args = append(b.args, "--spool", smallDisk(t, "200k"))
		}, "", exitFailed, "no space left on device; free some space for temporary files, or use another folder for them"},
		"warehouse disk full": {func(t *testing.T, b *crashBench) {
			b.moveTo(t, smallDisk(t, "3m"))
			fill(t, b.root, 300<<10)
		}, "", exitFailed, "not written: write to .* bytes are free and .* needed: no space left on device; free some space for the warehouse"},
		"read-only warehouse": {func(t *testing.T, b *crashBench) {
			disk := smallDisk(t, "3m")
			b.moveTo(t, disk)
			command(t, "mount", "-o", "remount,ro", disk)
		}, "", exitFailed, "read-only file system; check the warehouse's address"},
		"64 open files": {func(_ *testing.T, b *crashBench) { b.args = append(b.args, "--concurrency", "64") }, "ulimit -n 64", exitDone, ""},
		"12 open files": {nil, "ulimit -n 12", exitFailed, "too many open files; raise the limit of open files, as ulimit -n does"},
		"little memory": {func(_ *testing.T, b *crashBench) { b.env = append(b.env, "GOMEMLIMIT=40MiB") }, "", exitDone, ""},
		"clock set back": {func(t *testing.T, b *crashBench) {
			later := time.Now().AddDate(10, 0, 0)
			for path := range b.objects(t) {
				if err := os.Chtimes(path, later, later); err != nil {
					t.Fatal(err)
				}
			}
		}, "", exitDone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newCrashBench(t, service)
			if out, err := b.command().CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if tc.prepare != nil {
				tc.prepare(t, b)
			}
			before := b.objects(t)
			code, said := b.limited(t, tc.limit)
			if code != tc.code || !regexp.MustCompile(tc.want).MatchString(said) {
				t.Errorf("exit code %d, want %d; it says %s", code, tc.code, said)
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

// limited runs the command under a limit of the shell.
func (b *crashBench) limited(t *testing.T, limit string) (code int, said string) {
	t.Helper()
	cmd := b.command()
	if limit != "" {
		shell, err := exec.LookPath("bash")
		if err != nil {
			t.Skip("no bash to set limits with")
		}
		cmd.Args = append([]string{"bash", "-c", limit + ` && exec "$0" "$@"`, cmd.Path}, b.args...)
		cmd.Path = shell
	}
	cmd.Dir = t.TempDir()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tooLong := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer tooLong.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if code = exit.ExitCode(); code < 0 { // as a shell tells it
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

// moveTo moves the warehouse, with what is in it.
func (b *crashBench) moveTo(t *testing.T, folder string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(folder, "warehouse"), os.DirFS(b.root)); err != nil {
		t.Fatal(err)
	}
	for i, arg := range b.args {
		if arg == b.root {
			b.args[i] = filepath.Join(folder, "warehouse")
		}
	}
	b.root = filepath.Join(folder, "warehouse")
}

// smallDisk is a disk in memory, where one may be mounted.
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

// fill leaves so many bytes of a disk.
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

// Where the system gives no more memory, the program aborts: with its own exit
// code, without a core, in which its key would be, and with the export that was there.
func TestOutOfMemory(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("how much address space a program needs is known of linux on amd64")
	}
	service, err := simulated.New(simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 1000})
	if err != nil {
		t.Fatal(err)
	}
	b := newCrashBench(t, service)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/performance/images") { // four pages of 64 MiB, all at once
			space := bytes.Repeat([]byte(" "), 1<<20)
			for range 64 {
				w.Write(space) // if it fails, so does the rest
			}
		}
		service.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.env = append(b.env, "VISION_TRAINING_ENDPOINT="+server.URL)
	if code, said := b.limited(t, ""); code != exitDone {
		t.Fatalf("exit code %d: %s", code, said)
	}
	before := b.objects(t)
	enough := 0
	for kilobytes := 700_000; enough == 0 && kilobytes < 3_000_000; kilobytes += 20_000 {
		shell := exec.Command("bash", "-c", fmt.Sprintf(`ulimit -v %d && exec "$0" --version`, kilobytes), b.path)
		if shell.Run() == nil {
			enough = kilobytes + 70_000 // one more piece of address space, as Go takes them
		}
	}
	code, said := b.limited(t, fmt.Sprintf("ulimit -c unlimited && ulimit -v %d", enough))
	if code != 128+int(syscall.SIGABRT) || !strings.Contains(said, "out of memory") {
		t.Errorf("exit code %d: %.2000s", code, said)
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

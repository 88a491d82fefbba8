package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// An object that is no file, or is one of kilobytes that takes gigabytes of whoever
// believes it, is left out with its iteration, or is an error that names it. It takes
// little memory, and the other iterations are there.
func TestHostileObjects(t *testing.T) {
	config := simulated.Config{Images: 20, Iterations: 2}
	root := exported.Warehouse(t, config)
	service, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	p := service.Projects()[0]
	hostile := p.Iterations[1].ID
	warehouse, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := load.ReadExport(t.Context(), warehouse, p.ID, hostile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, filepath.FromSlash(schema.Images.Path(p.ID, hostile)))
	plant := map[string]func() error{
		"FIFO":        func() error { return syscall.Mkfifo(file, 0o600) },
		"endless":     func() error { return os.Symlink("/dev/zero", file) },
		"a folder":    func() error { return os.Mkdir(file, 0o700) },
		"link, again": func() error { return os.Symlink("data.parquet", file) },
	}
	for name, body := range tablefiletest.Hostile(t, schema.Images, e.ExportID) {
		plant[name] = func() error { return os.WriteFile(file, body, 0o600) }
	}
	const limit = 300 // MiB
	for name, put := range plant {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.RemoveAll(file), put()); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{
				{"query", "--format", "csv", "SELECT (SELECT count(*) FROM exports), count(*), max(export_id)[:40], max(image_index) FROM images"},
				{"html", "--output", "-", "--thumbnails", root},
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				cmd := exec.CommandContext(ctx, os.Args[0], append(args, "--warehouse", root, "--memory", "100")...)
				cmd.Env = append(os.Environ(), asCommand+"=1")
				cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				cancel()
				code := cmd.ProcessState.ExitCode()
				peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
				if runtime.GOOS == "darwin" {
					peak >>= 10
				}
				t.Logf("%s %s: exit code %d, %d MiB: %v %.150s %.300s", name, args[0], code, peak, err, out[:min(len(out), 15)], stderr.String())
			}
		})
	}
}

//go:build !windows

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

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
		"FIFO":             func() error { return syscall.Mkfifo(file, 0o600) },
		"endless":          func() error { return os.Symlink("/dev/zero", file) },
		"a link to itself": func() error { return os.Symlink("data.parquet", file) },
	}
	files := tablefiletest.Hostile(t, schema.Images, e.ExportID)
	for _, name := range []string{"a long text in every row", "two thousand million rows", "row groups of nothing", "a page that is a bomb", "a dictionary that lies", "a page that lies"} {
		if files[name] == nil {
			t.Fatalf("there is no %s", name)
		}
		plant[name] = func() error { return os.WriteFile(file, files[name], 0o600) }
	}
	const limit = 300 // MiB
	for name, put := range plant {
		if testing.Short() && name != "FIFO" && name != "row groups of nothing" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.RemoveAll(file), put()); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "query", "--warehouse", root, "--memory", "100", "--format", "csv",
				"SELECT count(DISTINCT iteration_id) AS n, count(export_id), max(image_index) FROM images")
			cmd.Env = append(os.Environ(), asCommand+"=1")
			var stderr strings.Builder
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
			if runtime.GOOS == "darwin" {
				peak >>= 10
			}
			if peak > limit && !testing.Short() { // the race detector of the short tests takes more
				t.Errorf("it took %d MiB", peak)
			}
			_, row, _ := strings.Cut(string(out), "\n")
			leftOut := strings.HasPrefix(row, "1,20,") && strings.Contains(stderr.String(), hostile.String())
			refused := err != nil && strings.Contains(stderr.String(), "cvexport verify")
			all := name == "a long text in every row" && strings.HasPrefix(row, "2,200020,") // as it is counted, none is read
			if !leftOut && !refused && !all {
				t.Errorf("%v: %s%s", err, out, stderr.String())
			}
		})
	}
}

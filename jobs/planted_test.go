//go:build !windows

package jobs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// Whatever somebody plants in the place of an object stops its own iteration. A night and
// verify go on with the others, wait for nothing and take little memory.
func TestPlanted(t *testing.T) {
	const limit = 300 << 20 // bytes, of all that is allocated
	b := newBench(t, simulated.Config{Images: 3, Iterations: 3})
	b.nightly(t, Choice{}, NightlyOptions{})
	project := b.service.Projects()[0]
	theirs, other := project.Iterations[1].ID, project.Iterations[2].ID
	fileOf := func(table schema.Table, iteration schema.ID) string {
		return filepath.Join(b.root, filepath.FromSlash(table.Path(project.ID, iteration)))
	}
	warehouse, err := local.New(b.root)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := load.ReadExport(t.Context(), warehouse, project.ID, theirs)
	if err != nil {
		t.Fatal(err)
	}
	write := func(body []byte) func(string) error {
		return func(file string) error { return os.WriteFile(file, body, 0o600) }
	}
	record := func(change func(*load.Export)) func(string) error {
		planted := e
		change(&planted)
		body, err := load.EncodeRecord(planted)
		if err != nil {
			t.Fatal(err)
		}
		return write(body)
	}
	big := make([]load.ObjectRecord, 200_000)
	ofOther, err := os.ReadFile(fileOf(schema.Exports, other))
	if err != nil {
		t.Fatal(err)
	}
	plants := map[string]func(file string) error{
		"a FIFO":             func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"a device":           func(file string) error { return os.Symlink("/dev/zero", file) },
		"a socket":           func(file string) error { return syscall.Mknod(file, syscall.S_IFSOCK|0o600, 0) },
		"a folder":           func(file string) error { return os.MkdirAll(filepath.Join(file, "data.parquet"), 0o700) },
		"a link to itself":   func(file string) error { return os.Symlink("data.parquet", file) },
		"garbage":            write(bytes.Repeat([]byte("garbage"), 1000)),
		"nothing":            write(nil),
		"a file without end": func(file string) error { return errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, 1<<40)) },
		"many objects":       record(func(e *load.Export) { e.Objects = big }),
		"a key that leaves":  record(func(e *load.Export) { e.Objects = []load.ObjectRecord{{Table: "images", Key: "../../x"}} }),
		"a table that leaves": record(func(e *load.Export) {
			e.Objects = []load.ObjectRecord{{Table: "..", Key: schema.Table{Name: ".."}.Path(project.ID, theirs)}}
		}),
		"another's record": write(ofOther),
	}
	for name, body := range tablefiletest.Hostile(t, schema.Images, e.ExportID) {
		plants[name] = write(body)
	}
	for _, table := range []schema.Table{schema.Exports, schema.Images} {
		file := fileOf(table, theirs)
		sound, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, plant := range plants {
			if testing.Short() && table.Name == schema.Images.Name && name != "a FIFO" && name != "a page that is a bomb" {
				continue
			}
			t.Run(table.Name+", "+name, func(t *testing.T) {
				defer func() {
					if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, sound, 0o600)); err != nil {
						t.Error(err)
					}
				}()
				if err := errors.Join(os.Remove(file), plant(file)); err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				night := b.nightly(t, Choice{}, NightlyOptions{DryRun: true})
				report, err := load.Verify(t.Context(), warehouse, schema.Evaluation, t.TempDir(), nil)
				runtime.ReadMemStats(&after)
				if took := after.TotalAlloc - before.TotalAlloc; took > limit {
					t.Errorf("it took %d MiB", took>>20)
				}
				if night.Err != nil || len(night.Projects) != 1 || night.Projects[0].Err != nil {
					t.Fatalf("the night ended: %v, %+v", night.Err, night.Projects)
				}
				for _, it := range night.Projects[0].Iterations {
					if want := it.ID != theirs; want != (it.Outcome == Present) {
						t.Errorf("iteration %s is %s: %v", it.ID, it.Outcome, it.Err)
					}
				}
				if err != nil {
					t.Errorf("verify ended: %v", err)
				}
				for _, f := range report.Findings {
					if !strings.Contains(f.String(), theirs.String()) || len(f.Problem) > 2000 {
						t.Errorf("finding %.500s", f)
					}
				}
				if len(report.Findings) == 0 {
					t.Error("verify found nothing")
				}
			})
		}
	}
	// So does what is in the place of a folder, which has no iteration's name.
	for _, folder := range []string{filepath.Dir(fileOf(schema.Exports, theirs)), filepath.Dir(filepath.Dir(fileOf(schema.Tags, theirs))), filepath.Join(b.root, "regions")} {
		aside := filepath.Join(t.TempDir(), "aside")
		if err := errors.Join(os.Rename(folder, aside), syscall.Mkfifo(folder, 0o600)); err != nil {
			t.Fatal(err)
		}
		report, err := load.Verify(t.Context(), warehouse, schema.Evaluation, t.TempDir(), nil)
		if err != nil || !slices.ContainsFunc(report.Findings, func(f load.Finding) bool { return strings.Contains(f.Problem, "no folder") }) {
			t.Errorf("a FIFO for %s: %v, %v", folder, report.Findings, err)
		}
		if err := errors.Join(os.Remove(folder), os.Rename(aside, folder)); err != nil {
			t.Fatal(err)
		}
	}
	wantOutcomes(t, b.nightly(t, Choice{}, NightlyOptions{DryRun: true}), map[Outcome]int{Present: 3})

	// What is no file is not replaced either: the iteration fails, and the next one is exported.
	file := fileOf(schema.Exports, theirs)
	if err := errors.Join(os.Remove(file), syscall.Mkfifo(file, 0o600), os.Remove(fileOf(schema.Exports, other))); err != nil {
		t.Fatal(err)
	}
	night := b.nightly(t, Choice{}, NightlyOptions{})
	wantOutcomes(t, night, map[Outcome]int{Present: 1, Failed: 1, Exported: 1})
	for _, it := range night.Projects[0].Iterations {
		if it.Outcome == Failed && (!errors.Is(it.Err, store.ErrNotFile) || !strings.Contains(it.Err.Error(), "is a FIFO, not a file: move it away")) {
			t.Error(it.Err)
		}
	}
}

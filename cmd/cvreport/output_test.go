package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// An existing file stays until the result is complete, and no other file is left.
func TestQueryOutput(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	folder := t.TempDir()
	file := filepath.Join(folder, "answer")
	for _, format := range []string{"table", "csv", "json", "parquet"} {
		if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range []string{"SELECT nope FROM predictions", "SELECT tag_name::INT AS n FROM predictions"} {
			if _, stderr, code := runQuery(t, "--warehouse", root, "--format", format, "-o", file, wrong); code != exitFailed {
				t.Errorf("%s: exit code %d: %s", format, code, stderr)
			}
			if body, err := os.ReadFile(file); err != nil || string(body) != "before" {
				t.Errorf("%s: after a failure the file is %q, %v", format, body, err)
			}
		}
		const text = "SELECT 1 AS n"
		want, _ := mustQuery(t, "--warehouse", root, "--format", format, text)
		mustQuery(t, "--warehouse", root, "--format", format, "-o", file, text)
		if body, err := os.ReadFile(file); err != nil || string(body) != want {
			t.Errorf("%s: the file is %q, %v; standard output was %q", format, body, err, want)
		}
		for _, args := range [][]string{{"-o", filepath.Join(folder, "none", "x")}, {"-o", folder}} {
			if _, stderr, code := runQuery(t, append(args, "--warehouse", root, "--format", format, text)...); code == exitDone || !strings.Contains(stderr, folder) {
				t.Errorf("%s, %v: exit code %d: %s", format, args, code, stderr)
			}
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestQueryOutputElsewhere(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(folder, "link.csv")
	if err := os.Symlink("file.json", link); err != nil {
		t.Fatal(err)
	}
	mustQuery(t, "--warehouse", root, "-o", link, "SELECT 1 AS n") // the name that was given says which format
	if body, err := os.ReadFile(filepath.Join(folder, "file.json")); err != nil || string(body) != "n\n1\n" {
		t.Errorf("behind the link is %q, %v", body, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info, err)
	}

	pipe := filepath.Join(folder, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	device := filepath.Join(folder, "device")
	if err := os.Symlink("/dev/zero", device); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, device} { // nobody reads the pipe
		_, stderr, code := runQuery(t, "--warehouse", root, "--format", "csv", "-o", name, "SELECT 1 AS n")
		if code != exitUsage || !strings.Contains(stderr, "not a file: move it away") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	mustQuery(t, "--warehouse", root, "--format", "csv", "-o", os.DevNull, "SELECT 1 AS n")
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("%s is gone: %v, %v", os.DevNull, info, err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	mustQuery(t, "--warehouse", root, "--format", "parquet", "-o", fmt.Sprint("/dev/fd/", w.Fd()), "SELECT 1 AS n") // as >(command) is
	w.Close()
	if body, err := io.ReadAll(r); err != nil || !strings.HasPrefix(string(body), "PAR1") {
		t.Errorf("through the pipe came %q, %v", body, err)
	}
}

// The extension of the file chooses the format, and one that stands for none is refused.
func TestQueryOutputExtension(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	folder := t.TempDir()
	for name, tc := range map[string]struct {
		format, begins string
		code           int
	}{
		"x.csv":        {"", "n\n1\n", exitDone},
		"x.JSON":       {"", "[\n", exitDone},
		"x.parquet":    {"", "PAR1", exitDone},
		"x":            {"", "n\n-\n1", exitDone},
		"x.d/x":        {"", "n\n-\n1", exitDone},
		"x.foo":        {"", "", exitUsage},
		"x.xlsx":       {"", "", exitUsage},
		"with.foo":     {"csv", "n\n1\n", exitDone},
		"without":      {"json", "[\n", exitDone},
		"without.json": {"csv", "n\n1\n", exitDone},
	} {
		file := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := runQuery(t, "--warehouse", root, "--format", tc.format, "-o", file, "SELECT 1 AS n")
		body, err := os.ReadFile(file)
		if code != tc.code || !strings.HasPrefix(string(body), tc.begins) || (err == nil) != (code == exitDone) {
			t.Errorf("%s %s: exit code %d, %q: %s", tc.format, name, code, body, stderr)
		}
		if code == exitUsage && !strings.Contains(stderr, ".table, .csv, .json, .parquet") {
			t.Errorf("%s: %s", name, stderr)
		}
	}
}

// Parquet is not written to a terminal.
func TestQueryParquetToTerminal(t *testing.T) {
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer terminal.Close()
	var stderr bytes.Buffer
	code := run([]string{"query", "--warehouse", newWarehouse(t, "warehouse"), "--format", "parquet", "SELECT 1"}, strings.NewReader(""), terminal, &stderr)
	if code != exitUsage || !strings.Contains(stderr.String(), "give a file with --output") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

// failing is a writer that is full after some bytes.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// A result that could not be written in full is a failure.
func TestQueryToFullOutput(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for _, format := range []string{"table", "csv", "json", "parquet"} {
		var stderr bytes.Buffer
		code := run([]string{"query", "--warehouse", root, "--format", format, "SELECT hash(i) AS h FROM range(60000) AS t(i)"}, nil, &failing{left: 100_000}, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), io.ErrShortWrite.Error()) {
			t.Errorf("%s: exit code %d: %s", format, code, &stderr)
		}
	}
}

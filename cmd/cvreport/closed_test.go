//go:build !windows

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// If the reader closes standard output, the command ends quietly and leaves no files.
func TestQueryOutputClosed(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	formats := []string{"csv", "parquet", "table", "json"}
	if testing.Short() {
		formats = formats[:2]
	}
	for _, format := range formats {
		for _, text := range []string{"SELECT hash(i) AS h FROM range(200000) AS t(i)", "SELECT 1", "BEGIN; SELECT 1"} {
			if format == "parquet" && strings.HasPrefix(text, "BEGIN") {
				continue
			}
			temporary := t.TempDir()
			code, stderr := closeAfter(t, 4, temporary, "query", "--warehouse", root, "--format", format, text)
			if code != exitClosed && !(code == exitDone && len(text) < 20) || stderr != "" { // all may have been written before
				t.Errorf("%s, %s: exit code %d: %s", format, text, code, stderr)
			}
			code, stderr = closeAfter(t, 0, temporary, "query", "--warehouse", root, "--format", format, text)
			if code != exitClosed || stderr != "" {
				t.Errorf("%s, %s: exit code %d: %s", format, text, code, stderr)
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("%s, %s: it leaves %v, %v", format, text, left, err)
			}
		}
	}
}

// closeAfter runs the command with an output that is closed after some bytes.
func closeAfter(t *testing.T, bytesRead int64, temporary string, args ...string) (code int, said string) {
	t.Helper()
	from, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if bytesRead == 0 {
		from.Close()
	}
	var stderr bytes.Buffer
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+temporary)
	cmd.Stdout, cmd.Stderr = to, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	if bytesRead > 0 {
		if _, err := io.CopyN(io.Discard, from, bytesRead); err != nil {
			t.Error(err)
		}
		from.Close()
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

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

// That the reader of standard output goes away is a quiet end, which leaves nothing.
func TestQueryUnread(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	for _, format := range []string{"table", "csv", "json", "parquet"} {
		for _, text := range []string{"SELECT hash(i) AS h FROM range(200000) AS t(i)", "SELECT 1", "BEGIN; SELECT 1"} {
			if format == "parquet" && strings.HasPrefix(text, "BEGIN") {
				continue
			}
			temporary := t.TempDir()
			code, stderr := unreadAfter(t, 4, temporary, "query", "--warehouse", root, "--format", format, text)
			if code != exitClosed && !(code == exitDone && len(text) < 20) || stderr != "" { // a little may have been written before
				t.Errorf("%s, %s: exit code %d: %s", format, text, code, stderr)
			}
			code, stderr = unreadAfter(t, 0, temporary, "query", "--warehouse", root, "--format", format, text)
			if code != exitClosed || stderr != "" {
				t.Errorf("%s, %s: exit code %d: %s", format, text, code, stderr)
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("%s, %s: it leaves %v, %v", format, text, left, err)
			}
		}
	}
}

// unreadAfter runs the command with an output of which only some bytes are read.
func unreadAfter(t *testing.T, bytesRead int64, temporary string, args ...string) (code int, said string) {
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

//go:build !windows

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// SIGTERM ends a command that waits for the reader of its output.
func TestInterruptedInWrite(t *testing.T) {
	cmd := exec.Command(os.Args[0], "query", "--warehouse", newWarehouse(t, "warehouse"), "--format", "csv", "FROM range(1000000)")
	cmd.Env = append(os.Environ(), asCommand+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	state, err := cmd.Process.Wait() // the pipe stays open, unread
	if err != nil || state.ExitCode() != exitInterrupted {
		t.Errorf("%v, %v", state, err)
	}
}

// So it does one that waits for the SQL.
func TestInterruptedInRead(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readSQL(ctx, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Package brokenpipe handles a standard output whose reader has closed it, as head does.
package brokenpipe

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// DisableSignal makes a write to a closed pipe return an error instead of killing
// the process with SIGPIPE, so that deferred clean-up runs. Child processes are not
// affected.
func DisableSignal() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // nothing reads the channel
}

// Is reports whether err is a write to a pipe that its reader has closed.
func Is(err error) bool {
	if runtime.GOOS == "windows" {
		const brokenPipe, noData = syscall.Errno(109), syscall.Errno(232) // ERROR_BROKEN_PIPE, ERROR_NO_DATA
		return errors.Is(err, brokenPipe) || errors.Is(err, noData)
	}
	return errors.Is(err, syscall.EPIPE)
}

// IgnoreErrors returns a writer that passes everything to w and reports success
// when w is a closed pipe.
func IgnoreErrors(w io.Writer) io.Writer { return ignoring{w} }

type ignoring struct{ io.Writer }

func (i ignoring) Write(p []byte) (int, error) {
	n, err := i.Writer.Write(p)
	if Is(err) {
		return len(p), nil
	}
	return n, err
}

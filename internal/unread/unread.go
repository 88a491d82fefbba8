// Package unread is about a standard output whose reader has gone away, as head does.
package unread

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Survive keeps such a write from ending the program before it has cleaned up: the
// write fails, that is all. A program that this one starts is not changed.
func Survive() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // nobody looks at the channel
}

// Is reports whether a write failed because its reader has gone away.
func Is(err error) bool {
	for _, c := range closed {
		if errors.Is(err, c) {
			return true
		}
	}
	return false
}

// Ignoring is w, except that what nobody reads is as good as written.
func Ignoring(w io.Writer) io.Writer { return ignoring{w} }

type ignoring struct{ to io.Writer }

func (w ignoring) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	if Is(err) {
		return len(p), nil
	}
	return n, err
}

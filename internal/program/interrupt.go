package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// ExitInterrupted is the exit code of a command that was interrupted.
const ExitInterrupted = 130

// A command ends within two seconds of a signal. Most of that it has for itself.
const (
	graceful = 1400 * time.Millisecond
	lastWord = 100 * time.Millisecond // for a message, which nobody may read
)

// Interruptible returns a context that ends with the first SIGINT or SIGTERM. A second one
// kills the program. So it ends if it is still there two seconds after the first, whatever
// it waits for: a pipe, a disk, a server that does not answer. A warehouse survives that
// as it survives kill -9. stop is called when the command has ended.
func Interruptible(name string, stderr io.Writer) (_ context.Context, stop func()) {
	ctx, restore := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ended := make(chan struct{})
	disarm := context.AfterFunc(ctx, func() {
		restore()
		select {
		case <-ended:
			return
		case <-time.After(graceful):
		}
		go fmt.Fprintf(stderr, "%s: interrupted; it was still waiting for something, and was ended\n", name)
		select {
		case <-ended:
		case <-time.After(lastWord):
			os.Exit(ExitInterrupted)
		}
	})
	return ctx, func() {
		disarm()
		close(ended)
		restore()
	}
}

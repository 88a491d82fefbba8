// Command cvexport copies what Azure Custom Vision knows about every evaluated
// image of a trained iteration into Parquet tables on object storage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/brokenpipe"
	"github.com/cvexport/cvexport/internal/operation/telemetry"
)

// The exit codes, which the README documents.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartial     = 3
	exitAuth        = 4
	exitInterrupted = 130
)

const tracesTimeout = 5 * time.Second

// gcPercent is how much the heap grows between garbage collections, in percent of what
// is in use. Of the same pages, an export takes 77 MiB and 0.52 s of CPU with it; with
// Go's default, 100, it takes 84 MiB and 0.51 s. GOGC in the environment overrides it.
const gcPercent = 50

func main() {
	endCrashes()
	brokenpipe.DisableSignal()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line. The first interrupt stops it in order; a second
// one ends it at once, which the warehouse survives as well.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	stopTraces, err := telemetry.Start(ctx, programVersion())
	if err != nil {
		fmt.Fprintln(stderr, "cvexport:", err)
		return exitUsage
	}
	defer func() {
		// A collector that is away must not hold up the end, nor change it.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), tracesTimeout)
		defer cancel()
		if err := stopTraces(last); err != nil {
			fmt.Fprintln(stderr, "cvexport: sending traces:", err)
		}
	}()

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(brokenpipe.IgnoreErrors(stdout)) // exports are worth more than who reads about them
	root.SetErr(stderr)
	err = root.ExecuteContext(ctx)
	if err != nil {
		message := err.Error()
		if ctx.Err() != nil {
			message = "interrupted: " + message
		}
		fmt.Fprintln(stderr, "cvexport:", message)
		var usage *usageError
		if errors.As(err, &usage) && usage.command != "" {
			fmt.Fprintf(stderr, "Run '%s --help' for examples.\n", usage.command)
		}
	}
	return exitCode(ctx, err)
}

// exitCode is the one place that decides it.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	var partial *partialError
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &partial):
		return exitPartial
	case extract.AuthRefused(err):
		return exitAuth
	}
	return exitFailed
}

// usageError is a mistake in the command line or the configuration.
type usageError struct {
	command string // whose help would explain it; may be empty
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

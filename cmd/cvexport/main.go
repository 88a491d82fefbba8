// Command cvexport copies what Azure Custom Vision knows about every evaluated
// image of a trained iteration into Parquet tables on object storage.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/brokenpipe"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/operation/ping"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/telemetry"
)

// The exit codes, which docs/reference/exit-codes.md has.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitPartial     = 3
	exitAuth        = 4
	exitInterrupted = program.ExitInterrupted
	exitAborted     = 134 // by SIGABRT, as a shell reports it
)

// How long sending traces may delay the exit, and an exit that is wanted at once.
const (
	tracesTimeout      = 5 * time.Second
	interruptedTimeout = 500 * time.Millisecond
)

// gcPercent is how much the heap grows between garbage collections, in percent of what
// is in use. Of the same pages, an export takes 77 MiB and 0.52 s of CPU with it; with
// Go's default, 100, it takes 84 MiB and 0.51 s. GOGC in the environment overrides it.
const gcPercent = 50

func main() {
	abortOnCrash()
	brokenpipe.DisableSignal()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run runs one command line. The first interrupt stops it cleanly; a second one kills
// it, which the warehouse survives as well.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := program.Interruptible("cvexport", stderr)
	defer stop()

	stderr = program.Outlet(stderr)
	program.Begin("cvexport", stderr)
	defer endPanic(stderr)
	messages := program.Messages(stderr)
	stopTraces, err := telemetry.Start(ctx, programVersion())
	if err != nil {
		fmt.Fprintln(messages, "cvexport:", err)
		return exitUsage
	}
	defer func() {
		// An unreachable collector neither delays the exit nor changes its code.
		timeout := tracesTimeout
		if ctx.Err() != nil {
			timeout = interruptedTimeout
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		if err := stopTraces(ctx); err != nil {
			fmt.Fprintln(messages, "cvexport: sending traces:", err)
		}
	}()

	root := newRoot()
	root.SetArgs(args)
	told := &ping.Run{}
	root.SetOut(program.Outlet(io.MultiWriter(brokenpipe.IgnoreErrors(stdout), told))) // an export goes on when nobody reads its output
	root.SetErr(stderr)
	started := false
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		started = true
		if err := program.CheckProxy(); err != nil {
			return &usageError{err: err}
		}
		return nil
	}
	ended := false
	defer tellPanic(ctx, told, &ended)
	cmd, err := root.ExecuteContextC(withMonitor(ctx, told))
	ended = true
	failure := ""
	if err != nil {
		if !started { // wrong arguments or flags
			err = &usageError{seeHelp: true, err: err}
		}
		message := err.Error()
		if ctx.Err() != nil {
			message = "interrupted: " + message
		}
		fmt.Fprintln(messages, "cvexport:", message)
		if usage, ok := errors.AsType[*usageError](err); ok && usage.seeHelp {
			fmt.Fprintf(stderr, "Run '%s --help' for examples.\n", cmd.CommandPath())
		}
		failure = fmt.Sprintf("exit code %d: %s", exitCode(ctx, err), printable.Message(message))
	}
	code := exitCode(ctx, err)
	if err := tellEnd(ctx, told, cmd, failure); err != nil {
		fmt.Fprintln(messages, "cvexport: warning:", err)
	}
	return code
}

// exitCode is the only place that maps errors to exit codes. Flags, files, addresses and
// names that cannot be used are wrong usage. Missing or expired credentials of a
// store or queue are a failure: a scheduler should try again. A training key that the
// service refuses (401 or 403) has a code of its own.
func exitCode(ctx context.Context, err error) int {
	_, partial := errors.AsType[*runreport.PartialError](err)
	_, inconclusive := errors.AsType[*inconclusiveError](err)
	_, usage := errors.AsType[*usageError](err)
	_, named := errors.AsType[*names.Error](err)
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		return exitInterrupted
	case partial, inconclusive:
		return exitPartial
	case errors.Is(err, store.ErrLogin), errors.Is(err, azurelogin.ErrLogin):
		return exitFailed
	case usage, named, errors.Is(err, store.ErrUnsafe):
		return exitUsage
	case extract.AuthRefused(err):
		return exitAuth
	}
	return exitFailed
}

// usageError is a mistake in the command line or the configuration.
type usageError struct {
	seeHelp bool // the command's help explains it
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(format string, args ...any) error { return &usageError{err: fmt.Errorf(format, args...)} }

// usageSeeHelp is a usage error that refers to the command's help.
func usageSeeHelp(format string, args ...any) error {
	return &usageError{seeHelp: true, err: fmt.Errorf(format, args...)}
}

// endPanic ends the program when the command has panicked. The runtime would print the
// panic's value as it is, and that may quote anything.
func endPanic(stderr io.Writer) {
	if value := recover(); value != nil {
		fmt.Fprintf(program.Messages(stderr), "panic: %v\n%s", value, debug.Stack())
		abort()
	}
}

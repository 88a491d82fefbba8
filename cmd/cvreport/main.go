// Command cvreport answers questions about a warehouse that cvexport has written. It
// has DuckDB inside and needs nothing else.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/brokenpipe"
	"github.com/cvexport/cvexport/internal/program"
)

// The exit codes, which docs/reference/exit-codes.md has with those of cvexport.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = program.ExitInterrupted
	exitClosed      = 141 // that of programs that SIGPIPE ends
)

func main() {
	brokenpipe.DisableSignal()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := program.Interruptible("cvreport", stderr)
	defer stop()

	stderr = program.Outlet(stderr)
	program.Begin("cvreport", stderr)
	messages := program.Messages(stderr)
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	started := false
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		started = true
		if err := program.CheckProxy(); err != nil {
			return query.UsageErrorf("%w", err)
		}
		return nil
	}
	cmd, err := root.ExecuteContextC(ctx)
	_, usage := errors.AsType[*query.UsageError](err)
	code := exitFailed
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "cvreport: interrupted")
		return exitInterrupted
	case errors.Is(err, query.ErrOutputClosed):
		return exitClosed
	case !started: // wrong arguments or flags
		fmt.Fprintln(messages, "cvreport:", err)
		fmt.Fprintf(stderr, "Run '%s --help' for examples.\n", cmd.CommandPath())
		return exitUsage
	case usage, errors.Is(err, report.ErrChoice), errors.Is(err, report.ErrNotFound):
		code = exitUsage
	}
	fmt.Fprintln(messages, "cvreport:", err)
	return code
}

// version is set by the linker for a release.
var version = ""

func programVersion() string { return program.Version(version) }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "cvreport",
		Short: "Look at a warehouse that cvexport has written",
		Example: `  cvreport query "SELECT * FROM exports"
  cvreport query "SELECT * FROM tag_metrics(0.5, 0.3)"
  cvreport query --warehouse gs://my-bucket/vision -o sure.csv "FROM current_predictions WHERE probability > 0.9"`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(program.FlagError)
	root.AddCommand(newQuery(), newHTML(), newServe(), newCOCO())
	return root
}

// Command cvreport answers questions about a warehouse that cvexport has written. It
// has DuckDB inside and needs nothing else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/brokenpipe"
	"github.com/cvexport/cvexport/internal/program"
)

// The exit codes, which the README documents with those of cvexport.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
	exitClosed      = 141 // that of programs that SIGPIPE ends
)

func main() {
	brokenpipe.DisableSignal()
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var usage *query.UsageError
	code := exitFailed
	switch {
	case err == nil:
		return exitDone
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "cvreport: interrupted")
		return exitInterrupted
	case errors.Is(err, query.ErrOutputClosed):
		return exitClosed
	case errors.As(err, &usage), errors.Is(err, report.ErrChoice), errors.Is(err, report.ErrNotFound):
		code = exitUsage
	}
	fmt.Fprintln(stderr, "cvreport:", err)
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
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return query.UsageErrorf("unknown command %q; see cvreport --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &query.UsageError{Err: err} })
	root.AddCommand(newQuery(), newHTML(), newServe())
	return root
}

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/report"
)

// htmlCommand writes a report.
type htmlCommand struct {
	reportCommand
	project   string
	iteration string
	compare   string
	threshold float64
	overlap   float64
	output    string
}

func newHTML() *cobra.Command {
	c := &htmlCommand{}
	cmd := &cobra.Command{
		Use:   "html",
		Short: "Write a report of an iteration as one HTML file",
		Long: `Html writes what a warehouse says about an iteration as one HTML file that needs
nothing else: how good it is and how that changed, tag by tag, at every threshold,
what it confuses, which images it fixed and broke, and which labels look wrong.
It prints the file's path.`,
		Example: `  cvreport html -o report.html
  cvreport html --project ID --iteration ID --compare ID -o report.html
  cvreport html --warehouse gs://my-bucket/vision --project ID --thumbnails ./pictures`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "the project's id (default the only one)")
	f.StringVar(&c.iteration, "iteration", "", "the iteration's id (default the one that was trained last)")
	f.StringVar(&c.compare, "compare", "", "the id of the iteration to compare with (default the one before)")
	f.Float64Var(&c.threshold, "threshold", 0, "where the threshold's slider starts (default where the service's figures were asked for)")
	f.Float64Var(&c.overlap, "overlap-threshold", 0, "how much a box must overlap a region to find it (default where the service's figures were asked for)")
	f.StringVarP(&c.output, "output", "o", "report.html", "file to write, which appears when it is whole; - is standard output")
	return cmd
}

func (c *htmlCommand) run(cmd *cobra.Command) (err error) {
	options := report.Options{Project: c.project, Iteration: c.iteration, Compare: c.compare}
	for _, f := range []struct {
		name  string
		value *float64
		into  **float64
	}{{"threshold", &c.threshold, &options.Threshold}, {"overlap-threshold", &c.overlap, &options.Overlap}} {
		if !cmd.Flags().Changed(f.name) {
			continue
		}
		if !(*f.value > 0 && *f.value <= 1) {
			return &usageError{fmt.Errorf("--%s %v: want more than 0 and at most 1", f.name, *f.value)}
		}
		*f.into = f.value
	}
	if options.Pictures, err = c.pictures(); err != nil {
		return err
	}
	out, err := newOutput(c.output, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	page, err := c.load(cmd.Context(), cmd.ErrOrStderr(), options)
	if err != nil {
		return err
	}
	if page.Warning != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "cvreport: warning:", page.Warning)
	}
	err = out.write(func(w io.Writer) error {
		return report.Writer{Version: programVersion(), Now: time.Now()}.Write(w, page)
	})
	if err != nil || c.output == "-" {
		return err
	}
	path, err := filepath.Abs(c.output)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), path)
	return nil
}

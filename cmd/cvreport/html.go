package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
)

type htmlCommand struct {
	reportFlags
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
		Long: `Html writes a report of an iteration as one HTML file that needs nothing else: how
good it is and how that has changed, tag by tag, at every threshold, what it confuses,
which images it fixed and broke, and which labels look wrong. It prints the file's path.`,
		Example: `  cvreport html -o report.html
  cvreport html --project ID --iteration ID --compare ID -o report.html
  cvreport html --warehouse gs://my-bucket/vision --project ID --thumbnails ./pictures`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.add(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "the project's id (default: the only one)")
	f.StringVar(&c.iteration, "iteration", "", "the iteration's id (default: the last one trained)")
	f.StringVar(&c.compare, "compare", "", "the id of the iteration to compare with (default: the one trained before)")
	f.Float64Var(&c.threshold, "threshold", 0, "where the threshold slider starts (default: the threshold of the service's figures)")
	f.Float64Var(&c.overlap, "overlap-threshold", 0, "how much a box must overlap a region to find it (default: the overlap of the service's figures)")
	f.StringVarP(&c.output, "output", "o", "report.html", "file to write, which appears when it is complete; - is standard output")
	return cmd
}

func (c *htmlCommand) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	options := report.Options{Project: c.project, Iteration: c.iteration, Compare: c.compare}
	for _, f := range []struct {
		name   string
		value  *float64
		option **float64
	}{{"threshold", &c.threshold, &options.Threshold}, {"overlap-threshold", &c.overlap, &options.Overlap}} {
		if !cmd.Flags().Changed(f.name) {
			continue
		}
		if !(*f.value > 0 && *f.value <= 1) {
			return query.UsageErrorf("--%s %v: want more than 0 and at most 1", f.name, *f.value)
		}
		*f.option = f.value
	}
	if options.Pictures, err = c.pictures(); err != nil {
		return err
	}
	out, err := query.NewOutput(c.output, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	db, err := c.source(cmd).Open(ctx, query.NoFunction)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	page, err := report.Load(ctx, db, options)
	if err != nil {
		return err
	}
	if page.Warning != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "cvreport: warning:", page.Warning)
	}
	err = out.Write(func(w io.Writer) error {
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

package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/program"
)

type htmlCommand struct {
	reportFlags
	options report.Options
	output  string
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
  cvreport html --project shop --iteration latest --compare published -o report.html
  cvreport html --project shop --iteration "Iteration 7" --compare "Iteration 5"
  cvreport html --warehouse gs://my-bucket/vision --project shop --thumbnails ./pictures`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.add(cmd)
	f := cmd.Flags()
	addIteration(f, &c.options.Project, &c.options.Iteration)
	f.StringVar(&c.options.Compare, "compare", "", "`name`, publish name or id of the iteration to compare with (default: the one trained before)")
	c.completeNames(cmd)
	f.Func("threshold", "where the threshold slider starts and the verdict is given: a `number` above 0, at most 1 (default: the threshold of the service's figures)", fraction(&c.options.Threshold))
	f.Func("overlap-threshold", "how much a box must overlap a region to find it: a `number` above 0, at most 1 (default: the overlap of the service's figures)", fraction(&c.options.Overlap))
	f.StringVarP(&c.output, "output", "o", "report.html", "file to write, which appears when it is complete; - is standard output")
	return cmd
}

// checkEnding refuses the name of a file that other programs would take for something else.
func checkEnding(output string) error {
	switch ending := strings.ToLower(filepath.Ext(output)); ending {
	case "", ".", ".html", ".htm": // - is standard output
		return nil
	default:
		return query.UsageErrorf("--output %s: a report is HTML, and %s is not one of .html, .htm: choose one of them", output, ending)
	}
}

// fraction parses a flag and sets p.
func fraction(p **float64) func(string) error {
	return func(text string) error {
		value, err := strconv.ParseFloat(text, 64)
		if err != nil || !(value > 0 && value <= 1) {
			return errors.New("want a number above 0 and at most 1")
		}
		*p = &value
		return nil
	}
}

func (c *htmlCommand) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	if c.options.Pictures, err = c.pictures(); err != nil {
		return err
	}
	c.options.PictureMemory = c.pictureMemory
	if err := checkEnding(c.output); err != nil {
		return err
	}
	source, temp, err := c.source(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	out, err := query.NewOutput(c.output, cmd.OutOrStdout(), source.Temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	db, err := source.Open(ctx, query.NoFunction)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	page, err := report.Load(ctx, db, c.options)
	if err != nil {
		return source.Explain(err)
	}
	if page.Warning != nil {
		fmt.Fprintln(program.Messages(cmd.ErrOrStderr()), "cvreport: warning:", page.Warning)
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
	fmt.Fprintln(program.Outlet(cmd.OutOrStdout()), path)
	return nil
}

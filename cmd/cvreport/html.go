package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/report"
)

// htmlCommand writes a report.
type htmlCommand struct {
	warehouse  string
	project    string
	iteration  string
	compare    string
	threshold  float64
	overlap    float64
	thumbnails string
	output     string
}

func newHTML() *cobra.Command {
	c := &htmlCommand{}
	cmd := &cobra.Command{
		Use:   "html",
		Short: "Write a report of an iteration as one HTML file",
		Long: `Html writes what a warehouse says about an iteration as one HTML file that needs
nothing else: how good it is and how that changed, tag by tag, at every threshold,
what it confuses, which images it fixed and broke, and which labels look wrong.`,
		Example: `  cvreport html -o report.html
  cvreport html --project ID --iteration ID --compare ID -o report.html
  cvreport html --thumbnails ./pictures -o report.html`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.warehouse, "warehouse", defaultWarehouse(), "the folder the tables are in (CVEXPORT_WAREHOUSE)")
	f.StringVar(&c.project, "project", "", "the project's id (default the only one)")
	f.StringVar(&c.iteration, "iteration", "", "the iteration's id (default the one that was trained last)")
	f.StringVar(&c.compare, "compare", "", "the id of the iteration to compare with (default the one before)")
	f.Float64Var(&c.threshold, "threshold", 0, "where the threshold's slider starts (default where the service's figures were asked for)")
	f.Float64Var(&c.overlap, "overlap-threshold", 0, "how much a box must overlap a region to find it (default where the service's figures were asked for)")
	f.StringVar(&c.thumbnails, "thumbnails", "", "pictures of the images: a folder with files named by image id, or fetch")
	f.StringVarP(&c.output, "output", "o", "report.html", "the file to write; - for standard output")
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
	if options.Pictures, err = openPictures(c.thumbnails); err != nil {
		return err
	}
	page, err := loadReport(cmd.Context(), c.warehouse, options)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := (report.Writer{Version: programVersion(), Now: time.Now()}).Write(&b, page); err != nil {
		return err
	}
	if c.output == "-" {
		_, err := cmd.OutOrStdout().Write(b.Bytes())
		return err
	}
	if err := writeFile(c.output, b.Bytes()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	path, err := filepath.Abs(c.output)
	if err != nil {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), path)
	return nil
}

// writeFile puts the whole file in its place, or leaves what was there.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

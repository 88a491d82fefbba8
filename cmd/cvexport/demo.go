package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// demoCommand is the tour: simulate, export, query, report.
type demoCommand struct {
	common
	images int
	html   string

	prose io.Writer // for people
	told  tour      // for programs
}

// tour is what there is after it, as JSON.
type tour struct {
	Exports []summary `json:"exports"`
	Report  string    `json:"report,omitempty"` // the file's path
}

func newDemo() *cobra.Command {
	c := &demoCommand{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The tour: simulate, export, query, report",
		Long: `Demo starts the simulated service on loopback, exports two iterations of it into
the warehouse, asks the Parquet files a few questions with cvreport, and writes a
report. cvreport must lie beside cvexport or on the PATH. It needs no account and no network.

With --output json standard output is one document, with the exports and the report's
path; the tour itself goes to standard error, or with --quiet nowhere.`,
		Example: `  cvexport demo
  cvexport demo --warehouse /tmp/tour --images 20000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addWarehouse(cmd)
	cmd.Flags().IntVar(&c.images, "images", 2000, "images an iteration")
	cmd.Flags().StringVar(&c.html, "html", "report.html", "the report to write")
	return cmd
}

// demoQueries are the questions, each with its SQL.
var demoQueries = []struct{ question, sql string }{
	{"How many rows has each table?", `
SELECT e.iteration_name AS iteration, o.table, o.rows, o.bytes
FROM exports e, unnest(e.objects) AS u(o) ORDER BY ALL`},
	{"Is the last iteration better?", `
SELECT e.iteration_name AS iteration, m.labels, round(m.precision, 3) AS precision, round(m.recall, 3) AS recall, round(m.f1, 3) AS f1
FROM tag_metrics(0.5, 0.3) AS m JOIN exports AS e USING (project_id, iteration_id)
WHERE m.scope = 'micro' ORDER BY e.trained_at`},
	{"Which tags is it worst at?", `
SELECT tag_name AS tag, labels, round(precision, 3) AS precision, round(recall, 3) AS recall, round(f1, 3) AS f1
FROM tag_metrics(0.5, 0.3)
WHERE scope = 'tag' AND iteration_id = (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1)
ORDER BY f1, tag LIMIT 5`},
	{"Which images did it get wrong, and was surest of?", `
SELECT image_id AS image, predicted_tag_name AS predicted, round(probability, 4) AS probability, coalesce(true_tag_name, '(no label)') AS labelled
FROM mistakes(0.5, 0.3)
WHERE probability IS NOT NULL AND iteration_id = (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1)
ORDER BY probability DESC, image LIMIT 5`},
}

func (c *demoCommand) run(cmd *cobra.Command) (err error) {
	if err := c.validate(); err != nil {
		return err
	}
	c.warehouse = firstText(c.warehouse, defaultWarehouse)
	ctx := cmd.Context()
	c.prose = cmd.OutOrStdout()
	if c.output == "json" {
		c.prose = cmd.ErrOrStderr()
		if c.quiet {
			c.prose = io.Discard
		}
		// Also if the tour ends early: the exports are there.
		defer func() {
			if len(c.told.Exports) > 0 {
				err = errors.Join(err, printJSON(cmd.OutOrStdout(), c.told))
			}
		}()
	}
	out := c.prose
	const key = "simulated"
	service, err := simulated.New(simulated.Config{Seed: 1, Kind: simulated.Multilabel, Images: c.images, Iterations: 2, Key: key})
	if err != nil {
		return usage("--images: %w", err)
	}
	server, err := serveSimulated(ctx, "127.0.0.1:0", service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	fmt.Fprintf(out, "The simulated service is at %s.\n\n", server.url)

	if err := c.export(cmd, service, server.url, key); err != nil {
		return err
	}
	report, err := findReport()
	if err != nil {
		return err
	}
	for _, q := range demoQueries {
		fmt.Fprintf(out, "\n%s\n", q.question)
		if err := query(ctx, report, c.warehouse, q.sql, out, cmd.ErrOrStderr()); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nAsk your own: %s query --warehouse %s \"SELECT ...\"\n", report, c.warehouse)
	fmt.Fprint(out, "\nThe report, to open in a browser:\n")
	return c.writeReport(cmd, report, service.Projects()[0].ID)
}

// writeReport lets cvreport write the report, which prints its path.
func (c *demoCommand) writeReport(cmd *cobra.Command, report string, project schema.ID) error {
	html := exec.CommandContext(cmd.Context(), report, "html", "--warehouse", c.warehouse, "--project", project.String(), "--output", c.html)
	var path strings.Builder
	html.Stdout, html.Stderr = &path, cmd.ErrOrStderr()
	if err := html.Run(); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	c.told.Report = strings.TrimSpace(path.String())
	_, err := fmt.Fprintln(c.prose, c.told.Report)
	return err
}

func (c *demoCommand) export(cmd *cobra.Command, service *simulated.Service, url, key string) (err error) {
	store, err := c.store(cmd)
	if err != nil {
		return err
	}
	defer closeStore(store, &err)
	for _, project := range service.Projects() {
		for _, iteration := range project.Iterations {
			client, err := extract.NewClient(extract.Options{Endpoint: url, Key: key, Rate: 1000})
			if err != nil {
				return err
			}
			display := newDisplay(cmd.ErrOrStderr(), &c.common)
			result, err := jobs.Export(cmd.Context(), client, store, jobs.Request{
				Project: project.ID, Iteration: iteration.ID.String(), Concurrency: 4,
				ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, SpoolDir: c.spoolDir, Version: programVersion(),
				Force:    true, // an earlier tour may have had more images
				Progress: display.export("demo"), Log: display.log,
			})
			display.close()
			if err != nil {
				return err
			}
			c.told.Exports = append(c.told.Exports, summarize(jobs.Exported, result, store))
			if err := printResult(c.prose, "text", jobs.Exported, result, store); err != nil {
				return err
			}
			fmt.Fprintln(c.prose)
		}
	}
	return nil
}

// findReport finds cvreport, which has DuckDB inside and is a program of its
// own so that this one stays a single static binary.
func findReport() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "cvreport")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("cvreport")
	if err != nil {
		return "", fmt.Errorf("the warehouse is written, but cvreport, which asks it the questions, is neither beside cvexport nor on the PATH (build it with: make build): %w", err)
	}
	return path, nil
}

func query(ctx context.Context, report, warehouse, sql string, stdout, stderr io.Writer) error {
	cmd := exec.CommandContext(ctx, report, "query", "--warehouse", warehouse, sql)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("asking the warehouse: %w", err)
	}
	return nil
}

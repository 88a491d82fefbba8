package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
)

// demoCommand is the tour: simulate, export, query, report.
type demoCommand struct {
	common
	images int
	html   string

	text   io.Writer
	result demoResult
}

// demoResult is the JSON output.
type demoResult struct {
	Exports []summary `json:"exports"`
	Report  string    `json:"report,omitempty"` // path
}

func newDemo() *cobra.Command {
	c := &demoCommand{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "The tour: simulate, export, query, report",
		Long: `Demo starts the simulated service on loopback, exports two iterations of it into
the warehouse, asks the Parquet files a few questions with cvreport, and writes a
report. cvreport must be beside cvexport or on the PATH. It needs no account and no network.

With --output json, standard output is one document with the exports and the report's
path; the tour itself goes to standard error or, with --quiet, is not printed.`,
		Example: `  cvexport demo
  cvexport demo --warehouse /tmp/tour --images 20000`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addWarehouse(cmd)
	cmd.Flags().IntVar(&c.images, "images", 2000, "images of each iteration")
	cmd.Flags().StringVar(&c.html, "html", "report.html", "file to write the report to")
	return cmd
}

// demoQueries are the questions that the tour asks.
var demoQueries = []struct{ question, sql string }{
	{"How many rows does each table have?", `
SELECT e.iteration_name AS iteration, o.table, o.rows, o.bytes
FROM exports e, unnest(e.objects) AS u(o) ORDER BY ALL`},
	{"How good is each iteration?", `
SELECT e.iteration_name AS iteration, m.labels, round(m.precision, 3) AS precision, round(m.recall, 3) AS recall, round(m.f1, 3) AS f1
FROM tag_metrics(0.5, 0.3) AS m JOIN exports AS e USING (project_id, iteration_id)
WHERE m.scope = 'micro' ORDER BY e.trained_at`},
	{"Which tags is it worst at?", `
SELECT tag_name AS tag, labels, round(precision, 3) AS precision, round(recall, 3) AS recall, round(f1, 3) AS f1
FROM tag_metrics(0.5, 0.3)
WHERE scope = 'tag' AND iteration_id = (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1)
ORDER BY f1, tag LIMIT 5`},
	{"Which of its mistakes was it most certain of?", `
SELECT image_id AS image, predicted_tag_name AS predicted, round(probability, 4) AS probability, coalesce(true_tag_name, '(no label)') AS labelled
FROM mistakes(0.5, 0.3)
WHERE probability IS NOT NULL AND iteration_id = (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1)
ORDER BY probability DESC, image LIMIT 5`},
}

func (c *demoCommand) run(cmd *cobra.Command) (err error) {
	if err := c.validate(); err != nil {
		return err
	}
	c.Warehouse = cmp.Or(c.Warehouse, program.DefaultWarehouse)
	c.text = cmd.OutOrStdout()
	if c.output == "json" {
		c.text = cmd.ErrOrStderr()
		if c.quiet {
			c.text = io.Discard
		}
		// Even if the tour ends early, the exports are there.
		defer func() {
			if len(c.result.Exports) > 0 {
				err = errors.Join(err, runreport.WriteJSON(cmd.OutOrStdout(), c.result))
			}
		}()
	}
	const key = "simulated"
	service, err := simulated.New(simulated.Config{Seed: 1, Kind: simulated.Multilabel, Images: c.images, Iterations: 2, Key: key})
	if err != nil {
		return usage("--images: %w", err)
	}
	return program.Serve(cmd.Context(), "127.0.0.1:0", &http.Server{Handler: service}, func(ctx context.Context, url string) error {
		fmt.Fprintf(c.text, "The simulated service is at %s.\n\n", url)
		client, err := extract.NewClient(extract.Options{Endpoint: url, Key: key, Rate: 1000})
		if err != nil {
			return err
		}
		return c.tour(ctx, cmd, client, service.Projects()[0])
	})
}

// tour exports the project's iterations, asks the questions and writes the report.
func (c *demoCommand) tour(ctx context.Context, cmd *cobra.Command, client *extract.Client, project simulated.Project) error {
	if err := c.export(ctx, cmd, client, project); err != nil {
		return err
	}
	cvreport, err := findReport()
	if err != nil {
		return err
	}
	for _, q := range demoQueries {
		fmt.Fprintf(c.text, "\n%s\n", q.question)
		query := commandOf(ctx, cvreport, "query", "--warehouse", c.Warehouse, q.sql)
		query.Stdout, query.Stderr = program.Raw(c.text), program.Raw(cmd.ErrOrStderr())
		if err := query.Run(); err != nil {
			return fmt.Errorf("querying the warehouse: %w", err)
		}
	}
	fmt.Fprintf(c.text, "\nAsk your own: %s query --warehouse %s \"SELECT ...\"\n", cvreport, c.Warehouse)
	html := commandOf(ctx, cvreport, "html", "--warehouse", c.Warehouse, "--project", project.ID.String(), "--output", c.html)
	html.Stderr = program.Raw(cmd.ErrOrStderr())
	path, err := html.Output()
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	c.result.Report = strings.TrimSpace(string(path))
	_, err = fmt.Fprintf(c.text, "\nThe report, to open in a browser:\n%s\n", c.result.Report)
	return err
}

func (c *demoCommand) export(ctx context.Context, cmd *cobra.Command, client *extract.Client, project simulated.Project) (err error) {
	opened := c.stores()
	defer opened.close(&err)
	store, err := opened.open(ctx, c.Warehouse)
	if err != nil {
		return err
	}
	for _, iteration := range project.Iterations {
		display := newDisplay(cmd.ErrOrStderr(), &c.common)
		result, err := jobs.Export(ctx, client, store, jobs.Request{
			Project: project.ID, Iteration: iteration.ID.String(), Concurrency: 4,
			ProbabilityThreshold: 0.5, OverlapThreshold: 0.3, SpoolDir: c.spoolDir, Version: programVersion(),
			Force:    true, // an earlier tour may have had more images
			Progress: display.export("demo"), Log: display.log,
		})
		display.close()
		if err != nil {
			return err
		}
		c.result.Exports = append(c.result.Exports, summarize(jobs.Exported, result, store))
		if err := printResult(c.text, "text", jobs.Exported, result, store); err != nil {
			return err
		}
		fmt.Fprintln(c.text)
	}
	return nil
}

// commandOf returns a command that ends with ctx, whoever reads its output.
func commandOf(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.WaitDelay = 500 * time.Millisecond
	return cmd
}

// findReport finds cvreport, a separate program because DuckDB needs cgo and cvexport
// is a static binary.
func findReport() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "cvreport")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	path, err := exec.LookPath("cvreport")
	if err != nil {
		return "", fmt.Errorf("the warehouse is written, but cvreport, which runs the queries, is neither beside cvexport nor on the PATH (build it with: make build): %w", err)
	}
	return path, nil
}

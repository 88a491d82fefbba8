package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// exportCommand exports one iteration.
type exportCommand struct {
	common
	project   schema.ID
	iteration string
	tags      []string
	force     bool
	dryRun    bool
	wait      bool
	waiting   jobs.WaitOptions
}

func newExport() *cobra.Command {
	c := &exportCommand{}
	cmd := &cobra.Command{
		Use:   "export --project ID --iteration ID|latest",
		Short: "Export one iteration",
		Long: `Export reads every evaluated image of a completed iteration and publishes one
Parquet object for each table. It succeeds only if every image is there exactly
once; if it fails or is interrupted before it publishes, the warehouse stays as it
was. Exporting an iteration again replaces its objects.`,
		Example: `  cvexport export --project ID --iteration latest
  cvexport export --project ID --iteration ID --warehouse gs://my-bucket/vision
  cvexport export --project ID --iteration latest --tag dog --tag cat --warehouse ./dogs-and-cats
  cvexport export --project ID --iteration latest --dry-run
  cvexport export --project ID --iteration latest --wait       # started last; when its training ends
  cvexport export --project ID --iteration latest --output json | jq .rows`,
		Args: cobra.NoArgs,
		RunE: c.withResource(c.run),
	}
	c.addExport(cmd)
	f := cmd.Flags()
	f.Func("project", "`id` of the project", func(text string) (err error) {
		c.project, err = schema.ParseID(text)
		return err
	})
	f.StringVar(&c.iteration, "iteration", "", "`id` of the iteration, or latest: the completed one trained last")
	f.StringArrayVar(&c.tags, "tag", nil, "only images with this `tag`, by name or id; may be given several times")
	f.BoolVar(&c.force, "force", false, "replace the iteration's export in the warehouse even if it has more images than the new one would have, or cannot be read")
	f.BoolVar(&c.dryRun, "dry-run", false, "say what would be read and written, and stop")
	f.BoolVar(&c.wait, "wait", false, "wait until the iteration's training has ended; latest is then the one started last")
	f.DurationVar(&c.waiting.Interval, "wait-interval", 30*time.Second, "time between two checks of the training")
	f.DurationVar(&c.waiting.Timeout, "wait-timeout", 24*time.Hour, "maximum time to wait")
	return cmd
}

func (c *exportCommand) run(cmd *cobra.Command, r *config.Resource) (err error) {
	ctx := cmd.Context()
	if err := c.checkFlags(); err != nil {
		return err
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	opened := c.stores()
	defer opened.close(&err)
	resource, err := c.open(ctx, opened, r, display.log)
	if err != nil {
		return err
	}
	client, warehouse, request := resource.Client, resource.Store, resource.Request
	request.Project, request.Iteration, request.Tags, request.Force = c.project, c.iteration, c.tags, c.force
	if c.dryRun {
		plan, err := jobs.Prepare(ctx, client, warehouse, request)
		if err != nil {
			return err
		}
		return printPlan(cmd.OutOrStdout(), c.output, plan, warehouse, c.force)
	}
	run := c.newRun("export")
	run.Begin(r.Name, client.Host())
	request.Progress, request.Log = display.export(r.Name), display.logOf(r.Name)
	result, err := c.export(ctx, client, warehouse, &request)
	outcome := jobs.Exported
	if errors.Is(err, store.ErrConflict) {
		if e, ok := jobs.CommittedElsewhere(ctx, client, warehouse, request); ok {
			result, outcome, err = jobs.Result{Export: e}, jobs.Elsewhere, nil
		}
	}
	display.close()
	if err == nil {
		err = printResult(cmd.OutOrStdout(), c.output, outcome, result, warehouse)
	}
	it := jobs.IterationResult{ID: result.Export.Iteration, Name: text(result.Export.IterationName), Status: result.Export.Status, Outcome: outcome}
	switch {
	case err != nil:
		it.Status, it.Outcome, it.Err = "", jobs.Failed, err
	case outcome == jobs.Exported:
		it.Result = &result
	}
	if id, err := schema.ParseID(request.Iteration); err == nil {
		it.ID = id
	}
	run.Add(jobs.ProjectResult{ID: request.Project, Name: text(result.Export.ProjectName), Iterations: []jobs.IterationResult{it}}, client.Stats())
	return errors.Join(err, writeRun(ctx, run, err))
}

// export waits for the training if it is asked to, and exports the iteration.
func (c *exportCommand) export(ctx context.Context, client *extract.Client, warehouse store.Store, r *jobs.Request) (jobs.Result, error) {
	if c.wait {
		c.waiting.Log = r.Log
		// A wrong warehouse should fail now, not in some hours.
		if _, err := load.ReadPrior(ctx, warehouse, schema.Evaluation, r.Project, schema.ID{}); err != nil {
			return jobs.Result{}, err
		}
		if err := warehouse.Probe(ctx); err != nil {
			return jobs.Result{}, err
		}
		iteration, err := jobs.Wait(ctx, client, r.Project, r.Iteration, c.waiting)
		if err != nil {
			return jobs.Result{}, err
		}
		r.Iteration = iteration.String()
	}
	return jobs.Export(ctx, client, warehouse, *r)
}

func (c *exportCommand) checkFlags() error {
	switch {
	case c.project.IsZero() || c.iteration == "":
		return usageSeeHelp("--project and --iteration are needed")
	case c.wait && c.dryRun:
		return usage("--wait and --dry-run cannot be used together")
	case c.waiting.Interval <= 0 || c.waiting.Timeout <= 0:
		return usage("--wait-interval %s or --wait-timeout %s is not above 0", c.waiting.Interval, c.waiting.Timeout)
	}
	if _, err := schema.ParseID(c.iteration); err != nil && c.iteration != jobs.Latest {
		return usage("--iteration: %w", err)
	}
	return nil
}

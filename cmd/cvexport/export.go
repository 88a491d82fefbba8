package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// exportCommand exports one iteration.
type exportCommand struct {
	common
	project   string
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
		Use:   "export --project NAME|ID --iteration NAME|ID|latest|published",
		Short: "Export one iteration",
		Long: `Export reads every evaluated image of a completed iteration and publishes one
Parquet object for each table. It succeeds only if every image is there exactly
once; if it fails or is interrupted before it publishes, the warehouse stays as it
was. Exporting an iteration again replaces its objects.

` + namesHelp,
		Example: `  cvexport export --project shop --iteration latest
  cvexport export --project shop --iteration "Iteration 7" --warehouse gs://my-bucket/vision
  cvexport export --project shop --iteration published         # the one with a publish name
  cvexport export --project b782e311-a9a9-40c2-8cc1-c3c9019785f7 --iteration latest
  cvexport export --project shop --iteration latest --tag dog --tag cat --warehouse ./dogs-and-cats
  cvexport export --project shop --iteration latest --dry-run
  cvexport export --project shop --iteration latest --wait     # started last; when its training ends
  cvexport export --project shop --iteration latest --output json | jq .rows`,
		Args: cobra.NoArgs,
		RunE: c.withResource(c.run),
	}
	c.addExport(cmd)
	c.addPing(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "`name` or id of the project")
	f.StringVar(&c.iteration, "iteration", "", "`name`, publish name or id of the iteration, or latest: the completed one trained last, or published")
	c.completeNames(cmd)
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
	request.Iteration, request.Tags, request.Force = c.iteration, c.tags, c.force
	if c.dryRun {
		if request.Project, err = jobs.FindProject(ctx, client, c.project); err != nil {
			return err
		}
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
	p := jobs.ProjectResult{ID: request.Project, Name: text(result.Export.ProjectName)}
	it := jobs.IterationResult{ID: result.Export.Iteration, Name: text(result.Export.IterationName), Status: result.Export.Status, Outcome: outcome}
	switch {
	case err != nil:
		it.Status, it.Outcome, it.Err = "", jobs.Failed, err
		if p.ID.IsZero() {
			p.Name = c.project
		}
		if !names.IsID(c.iteration) {
			it.Name = c.iteration
		}
	case outcome == jobs.Exported:
		it.Result = &result
	}
	if id, err := schema.ParseID(request.Iteration); err == nil {
		it.ID = id
	}
	p.Iterations = []jobs.IterationResult{it}
	run.Add(p, client.Stats())
	return errors.Join(err, writeRun(ctx, run, err))
}

// export finds the project, waits for the training if it is asked to, and exports the
// iteration.
func (c *exportCommand) export(ctx context.Context, client *extract.Client, warehouse store.Store, r *jobs.Request) (_ jobs.Result, err error) {
	if r.Project, err = jobs.FindProject(ctx, client, c.project); err != nil {
		return jobs.Result{}, err
	}
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
	case c.project == "" || c.iteration == "":
		return usageSeeHelp("--project and --iteration are needed")
	case c.wait && c.dryRun:
		return usage("--wait and --dry-run cannot be used together")
	case c.waiting.Interval <= 0 || c.waiting.Timeout <= 0:
		return usage("--wait-interval %s or --wait-timeout %s is not above 0", c.waiting.Interval, c.waiting.Timeout)
	}
	return nil
}

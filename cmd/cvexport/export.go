package main

import (
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// exportCommand exports one iteration.
type exportCommand struct {
	common
	how
	project   string
	iteration string
	tags      []string
	force     bool
	dryRun    bool
	wait      bool
	waiting   jobs.Waiting
}

func newExport() *cobra.Command {
	c := &exportCommand{}
	cmd := &cobra.Command{
		Use:   "export --project ID --iteration ID|latest",
		Short: "Export one iteration",
		Long: `Export reads every evaluated image of a completed iteration and publishes it as
one Parquet object a table. It succeeds only if every image is there exactly
once; if it fails or is interrupted before it publishes, the warehouse is as it
was. Exporting an iteration again replaces its objects.`,
		Example: `  cvexport export --project ID --iteration latest
  cvexport export --project ID --iteration ID --warehouse gs://my-bucket/vision
  cvexport export --project ID --iteration latest --tag dog --tag cat --warehouse ./dogs-and-cats
  cvexport export --project ID --iteration latest --dry-run
  cvexport export --project ID --iteration latest --wait       # begun last; when its training ends
  cvexport export --project ID --iteration latest --output json | jq .rows`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	c.addRecords(cmd)
	c.addHow(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "id of the project")
	f.StringVar(&c.iteration, "iteration", "", "id of the iteration, or latest: the completed one trained last")
	f.StringArrayVar(&c.tags, "tag", nil, "only images with this tag, by name or id; may be given several times")
	f.BoolVar(&c.force, "force", false, "replace an export that has more images than this one")
	f.BoolVar(&c.dryRun, "dry-run", false, "say what would be read and written, and stop")
	f.BoolVar(&c.wait, "wait", false, "wait until the iteration's training has ended; latest is then the one begun last")
	f.DurationVar(&c.waiting.Every, "wait-interval", 30*time.Second, "between two looks at its training")
	f.DurationVar(&c.waiting.Most, "wait-timeout", 24*time.Hour, "how long to wait at most")
	return cmd
}

func (c *exportCommand) run(cmd *cobra.Command) (err error) {
	resource, err := c.one(cmd)
	if err != nil {
		return err
	}
	request, err := c.exportRequest(resource)
	if err != nil {
		return err
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	client, err := c.client(resource, display.log)
	if err != nil {
		return err
	}
	resource.name = firstText(resource.name, client.Host())
	open := stores{}
	defer open.close(&err)
	warehouse, err := open.open(cmd, resource.warehouse)
	if err != nil {
		return err
	}
	if c.dryRun {
		plan, err := jobs.Prepare(cmd.Context(), client, warehouse, request)
		if err != nil {
			return err
		}
		return c.printPlan(cmd.OutOrStdout(), plan, warehouse)
	}
	record := newRecord("export", &c.common)
	request.Progress, request.Log = display.export(resource.name), display.logOf(resource.name)
	result, err := c.export(cmd, client, warehouse, &request)
	outcome := jobs.Exported
	if errors.Is(err, store.ErrConflict) {
		if e, ok := jobs.CommittedElsewhere(cmd.Context(), client, warehouse, request); ok {
			result, outcome, err = jobs.Result{Export: e}, jobs.Elsewhere, nil
		}
	}
	display.close()
	if err == nil {
		err = printResult(cmd.OutOrStdout(), c.output, outcome, result, warehouse)
	}
	record.add(c.night(resource, client, request, outcome, result, err, record.started))
	return errors.Join(err, record.write(cmd.Context(), err))
}

func (c *exportCommand) export(cmd *cobra.Command, client *extract.Client, store store.Store, r *jobs.Request) (jobs.Result, error) {
	var iteration schema.ID
	if c.wait {
		c.waiting.Log = r.Log
		// A wrong warehouse is better known now than in some hours.
		_, err := load.ReadPrior(cmd.Context(), store, schema.Evaluation, r.Project, schema.ID{})
		if err != nil {
			return jobs.Result{}, err
		}
		if iteration, err = jobs.Wait(cmd.Context(), client, r.Project, r.Iteration, c.waiting); err != nil {
			return jobs.Result{}, err
		}
		r.Iteration = iteration.String()
	}
	return jobs.Export(cmd.Context(), client, store, *r)
}

// night is the export as the record has it.
func (c *exportCommand) night(r resource, client *extract.Client, request jobs.Request, outcome jobs.Outcome, result jobs.Result, err error, started time.Time) jobs.ResourceNight {
	it := jobs.IterationNight{Status: result.Export.Status, Outcome: outcome}
	switch {
	case outcome == jobs.Exported && err == nil:
		it.Result = &result
	case err != nil:
		it = jobs.IterationNight{Outcome: jobs.FailedToDo, Err: err}
	}
	it.ID, it.Name = result.Export.Iteration, text(result.Export.IterationName)
	if id, parseErr := schema.ParseID(request.Iteration); parseErr == nil {
		it.ID = id
	}
	p := jobs.ProjectNight{ID: request.Project, Name: text(result.Export.ProjectName), Stats: client.Stats()}
	n := oneNight(r, p, it, started)
	n.Host = client.Host()
	return n
}

func (c *exportCommand) exportRequest(resource resource) (jobs.Request, error) {
	if err := c.how.validate(); err != nil {
		return jobs.Request{}, err
	}
	if c.project == "" || c.iteration == "" {
		return jobs.Request{}, &usageError{command: "cvexport export", err: usage("--project and --iteration are needed")}
	}
	if c.wait && c.dryRun {
		return jobs.Request{}, usage("--wait and --dry-run do not go together")
	}
	if !(c.waiting.Every > 0 && c.waiting.Most > 0) {
		return jobs.Request{}, usage("--wait-interval %s or --wait-timeout %s is not above 0", c.waiting.Every, c.waiting.Most)
	}
	r := c.request(resource, &c.common)
	project, err := schema.ParseID(c.project)
	if err != nil {
		return jobs.Request{}, usage("--project: %w", err)
	}
	if c.iteration != jobs.Latest {
		if _, err := schema.ParseID(c.iteration); err != nil {
			return jobs.Request{}, usage("--iteration: %w", err)
		}
	}
	r.Project, r.Iteration, r.Tags, r.Force = project, c.iteration, c.tags, c.force
	return r, nil
}

func (c *exportCommand) printPlan(w io.Writer, plan jobs.Plan, store storeURL) error {
	return printPlan(w, c.output, plan, store, c.force)
}

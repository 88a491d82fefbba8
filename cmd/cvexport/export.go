package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// exportCommand exports one iteration.
type exportCommand struct {
	common
	project   string
	iteration string
	tags      []string
	threshold float64
	overlap   float64
	keepSAS   bool
	force     bool
	dryRun    bool
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
  cvexport export --project ID --iteration latest --output json | jq .rows`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "id of the project")
	f.StringVar(&c.iteration, "iteration", "", "id of the iteration, or latest: the completed one trained last")
	f.StringArrayVar(&c.tags, "tag", nil, "only images with this tag, by name or id; may be given several times")
	f.Float64Var(&c.threshold, "threshold", 0.5, "probability at which the service's own precision and recall are asked for")
	f.Float64Var(&c.overlap, "overlap-threshold", 0.3, "box overlap at which they are asked for")
	f.BoolVar(&c.keepSAS, "keep-sas", false, "keep the access tokens in image URIs; they are secrets, and expire after a day")
	f.BoolVar(&c.force, "force", false, "replace an export that has more images than this one")
	f.BoolVar(&c.dryRun, "dry-run", false, "say what would be read and written, and stop")
	return cmd
}

func (c *exportCommand) run(cmd *cobra.Command) (err error) {
	request, err := c.request()
	if err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	store, err := c.store(cmd)
	if err != nil {
		return err
	}
	defer closeStore(store, &err)
	if c.dryRun {
		plan, err := jobs.Prepare(cmd.Context(), client, store, request)
		if err != nil {
			return err
		}
		return c.printPlan(cmd.OutOrStdout(), plan, store)
	}
	progress := newProgress(cmd.ErrOrStderr(), &c.common)
	request.Progress, request.Log = progress, progress.log
	result, err := jobs.Export(cmd.Context(), client, store, request)
	progress.close()
	if err != nil {
		return err
	}
	return printResult(cmd.OutOrStdout(), c.output, result, store)
}

func (c *exportCommand) request() (jobs.Request, error) {
	if err := c.validate(); err != nil {
		return jobs.Request{}, err
	}
	if c.project == "" || c.iteration == "" {
		return jobs.Request{}, &usageError{command: "cvexport export", err: usage("--project and --iteration are needed")}
	}
	project, err := schema.ParseID(c.project)
	if err != nil {
		return jobs.Request{}, usage("--project: %w", err)
	}
	if c.iteration != jobs.Latest {
		if _, err := schema.ParseID(c.iteration); err != nil {
			return jobs.Request{}, usage("--iteration: %w", err)
		}
	}
	for name, value := range map[string]float64{"threshold": c.threshold, "overlap-threshold": c.overlap} {
		if !(value >= 0 && value <= 1) {
			return jobs.Request{}, usage("--%s %v is not between 0 and 1", name, value)
		}
	}
	return jobs.Request{
		Project: project, Iteration: c.iteration, Tags: c.tags,
		Concurrency: c.concurrency, ProbabilityThreshold: c.threshold, OverlapThreshold: c.overlap,
		KeepSAS: c.keepSAS, Force: c.force, SpoolDir: c.spoolDir, Version: programVersion(),
	}, nil
}

func (c *exportCommand) printPlan(w io.Writer, plan jobs.Plan, store storeURL) error {
	return printPlan(w, c.output, plan, store, c.force)
}

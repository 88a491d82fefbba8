package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/jobs"
)

// nightlyCommand exports what the warehouse does not have yet.
type nightlyCommand struct {
	common
	shard  string
	dryRun bool
	empty  bool
}

func newNightly() *cobra.Command {
	c := &nightlyCommand{}
	cmd := &cobra.Command{
		Use:   "nightly",
		Short: "Export every completed iteration that is not exported yet",
		Long: `Nightly looks at every project of the resource, and exports each completed
iteration that is not in the warehouse or has changed since. It reads what was done
before from the warehouse itself. With nothing new to do it only lists.

An iteration that fails does not stop the others; the exit code is then 3. An
iteration that the service no longer has stays in the warehouse. A resource without
a project to look at, such as one whose names --include does not match, is an error
unless --allow-empty is given.

A --project is a name or an id. A name is looked up in the list of projects that the
run reads in any case: as it is written, then in upper or lower case.`,
		Example: `  cvexport nightly --warehouse gs://my-bucket/vision
  cvexport nightly --project shop --project b782e311-a9a9-40c2-8cc1-c3c9019785f7
  cvexport nightly --include 'shop-*' --exclude '*-test'
  cvexport nightly --config cvexport.yaml --report report.json --metrics-file cvexport.prom
  cvexport nightly --shard 0/4                            # one of four processes that share the work
  cvexport nightly --dry-run`,
		Args: cobra.NoArgs,
		RunE: c.withConfig(c.run),
	}
	c.addExport(cmd)
	c.addPing(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&c.Projects, "project", nil, "only the project of this `name` or id; may be given several times")
	c.completeNames(cmd)
	f.StringArrayVar(&c.Include, "include", nil, "only projects whose name matches this `pattern`, such as 'shop-*'; may be given several times")
	f.StringArrayVar(&c.Exclude, "exclude", nil, "no project whose name matches this `pattern`; may be given several times")
	f.StringVar(&c.shard, "shard", "", "I/N: export part I, counted from 0, of N (default from Cloud Run's or Kubernetes' variables)")
	f.BoolVar(&c.dryRun, "dry-run", false, "say what would be exported, and stop")
	f.BoolVar(&c.empty, "allow-empty", false, "succeed even if there is no project, or none that is chosen")
	return cmd
}

func (c *nightlyCommand) run(cmd *cobra.Command, resolved *config.Config) (err error) {
	ctx := cmd.Context()
	options := jobs.NightlyOptions{DryRun: c.dryRun, Strict: !c.empty}
	if options.Shard, err = jobs.ShardFrom(os.Getenv); c.shard != "" {
		options.Shard, err = jobs.ParseShard(c.shard)
	}
	if err != nil {
		return usage("%w", err)
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	several := len(resolved.Resources) > 1
	options.Progress, options.Log, display.several = display.export, display.log, several
	options.Planned, options.Ended = display.planned, display.ended

	opened := c.stores()
	defer opened.close(&err)
	var resources []jobs.Resource
	for i := range resolved.Resources {
		r, err := c.open(ctx, opened, &resolved.Resources[i], display.log)
		if err != nil && !several {
			return err
		}
		r.Err = err // does not stop the others
		resources = append(resources, r)
	}
	run := c.newRun("nightly")
	run.Shard = options.Shard.String()
	if c.dryRun {
		run.MetricsFile = "" // metrics say what was done
	}
	run.Resources, err = jobs.Nightly(ctx, resources, options)
	display.close()
	if err == nil {
		err = run.Failure()
	}
	var printed error
	if c.output == "json" {
		printed = run.PrintReport(cmd.OutOrStdout(), exitCode(ctx, err), err)
	} else {
		printed = run.PrintSummary(cmd.OutOrStdout())
	}
	return errors.Join(err, printed, writeRun(ctx, run, err))
}

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// nightlyCommand exports whatever the warehouse does not have yet.
type nightlyCommand struct {
	common
	how
	projects []string
	include  []string
	exclude  []string
	shard    string
	dryRun   bool
}

func newNightly() *cobra.Command {
	c := &nightlyCommand{}
	cmd := &cobra.Command{
		Use:   "nightly",
		Short: "Export every completed iteration that is not exported yet",
		Long: `Nightly looks at every project of the resource, and exports each completed
iteration that the warehouse does not hold as the service has it now. What was
done before it reads from the warehouse itself. With nothing new to do it only
lists.

An iteration that fails does not stop the others; the exit code is then 3. An
iteration that the service no longer has stays in the warehouse.`,
		Example: `  cvexport nightly --warehouse gs://my-bucket/vision
  cvexport nightly --project ID --project ID
  cvexport nightly --include 'shop-*' --exclude '*-test'
  cvexport nightly --config cvexport.yaml --report report.json --metrics-file cvexport.prom
  cvexport nightly --shard 0/4                            # one of four processes that share the work
  cvexport nightly --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	c.addRecords(cmd)
	c.addHow(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&c.projects, "project", nil, "only the project of this id; may be given several times")
	f.StringArrayVar(&c.include, "include", nil, "only projects whose name matches, such as 'shop-*'; may be given several times")
	f.StringArrayVar(&c.exclude, "exclude", nil, "no project whose name matches; may be given several times")
	f.StringVar(&c.shard, "shard", "", "I/N: the part I, from 0, of N that share the iterations (default what Cloud Run or Kubernetes say)")
	f.BoolVar(&c.dryRun, "dry-run", false, "say what would be exported, and stop")
	return cmd
}

func (c *nightlyCommand) run(cmd *cobra.Command) (err error) {
	settings, err := c.resources(cmd)
	if err != nil {
		return err
	}
	if err := c.how.validate(); err != nil {
		return err
	}
	options := jobs.NightlyOptions{DryRun: c.dryRun}
	if options.Shard, err = c.parseShard(); err != nil {
		return &usageError{err: err}
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	options.Progress, options.Log, display.several = display.export, display.log, len(settings) > 1

	open := stores{}
	defer open.close(&err)
	var resources []jobs.Resource
	for _, s := range settings {
		r := jobs.Resource{Name: s.name, Request: c.request(s, &c.common)}
		if r.Choice, err = c.choose(s.choice, len(settings) > 1); err != nil {
			return err
		}
		if r.Client, err = c.client(s, display.log); err == nil {
			r.Name = firstText(r.Name, r.Client.Host())
			r.Store, err = open.open(cmd, s.warehouse)
		}
		if err != nil && len(settings) == 1 {
			return err
		}
		r.Err = err // for one of several
		resources = append(resources, r)
	}
	record := newRecord("nightly", &c.common)
	record.shard = options.Shard.String()
	if c.dryRun {
		record.metrics = "" // which say what was done
	}
	nights, runErr := jobs.Nightly(cmd.Context(), resources, options)
	display.close()
	if runErr == nil {
		runErr = failures(nights)
	}
	record.add(nights...)
	return errors.Join(runErr, printNights(cmd.OutOrStdout(), c.output, record), record.write(cmd.Context(), runErr))
}

func (c *nightlyCommand) parseShard() (jobs.Shard, error) {
	if c.shard == "" {
		return jobs.ShardFrom(os.Getenv)
	}
	shard, err := jobs.ParseShard(c.shard)
	if err != nil {
		return jobs.Shard{}, fmt.Errorf("--shard: %w", err)
	}
	return shard, nil
}

// choose takes the projects of the flags, if there are any, over the file's; they may
// be meant for any of several resources.
func (c *nightlyCommand) choose(choice jobs.Choice, several bool) (jobs.Choice, error) {
	if len(c.projects)+len(c.include)+len(c.exclude) == 0 {
		return choice, nil
	}
	flags := jobs.Choice{Include: c.include, Exclude: c.exclude, Shared: several}
	for _, text := range c.projects {
		id, err := schema.ParseID(text)
		if err != nil {
			return jobs.Choice{}, usage("--project: %w", err)
		}
		flags.IDs = append(flags.IDs, id)
	}
	if err := flags.Validate(); err != nil {
		return jobs.Choice{}, usage("--include or --exclude: %w", err)
	}
	return flags, nil
}

// partialError is that something failed while the rest was done.
type partialError struct{ error }

// failures sums up what went wrong; nil if nothing did.
func failures(nights []jobs.ResourceResult) error {
	failed, good := 0, 0
	var first error
	refused := true
	fail := func(err error) {
		failed++
		refused = refused && extract.AuthRefused(err)
		if first == nil {
			first = err
		}
	}
	for _, n := range nights {
		if n.Err != nil {
			fail(n.Err)
		}
		for _, p := range n.Projects {
			if p.Err != nil && !errors.Is(n.Err, p.Err) {
				fail(p.Err)
			}
			for _, it := range p.Iterations {
				switch it.Outcome {
				case jobs.Failed:
					if !errors.Is(n.Err, it.Err) {
						fail(it.Err)
					}
				case jobs.Exported, jobs.Present, jobs.Elsewhere, jobs.Kept, jobs.OtherShard:
					good++
				}
			}
		}
	}
	switch {
	case failed == 0:
		return nil
	case good == 0 && (failed == 1 || refused):
		return first
	}
	err := fmt.Errorf("%s, which the summary names; the first is: %w", plural(int64(failed), "failure"), first)
	if good > 0 {
		return &partialError{err}
	}
	return err
}

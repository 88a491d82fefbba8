package main

import (
	"errors"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/jobs/notify"
	"github.com/cvexport/cvexport/patience"
)

// listenCommand exports each iteration that a queue announces.
type listenCommand struct {
	common
	queue   string
	options jobs.ListenOptions
}

func newListen() *cobra.Command {
	c := &listenCommand{}
	cmd := &cobra.Command{
		Use:   "listen --queue URL",
		Short: "Export each iteration when the service reports the end of its training",
		Long: `Listen receives Custom Vision's notifications from an Azure storage queue and
exports each iteration whose training has ended. A message is deleted only after its
export is committed. If the export fails, the message comes back later; if it fails
too often, the message moves to the queue with -poison appended to its name, and so
does at once one that is not understood. Messages about projects that the
configuration does not select are deleted. On SIGTERM it
returns the current message to the queue and ends. With --until-idle the exit code
says, like that of nightly, whether something failed.

The report and the metrics cover the whole run. They are written after each
iteration, and at the end.

Credentials for the queue come from the environment: AZURE_STORAGE_CONNECTION_STRING,
AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or an identity. A token must be one of
the account, with permission to add, update and process messages: the token of a
single queue cannot use the poison queue, and messages that fail would come back
forever.`,
		Example: `  cvexport listen --queue https://ACCOUNT.queue.core.windows.net/trained --warehouse azblob://vision
  AZURE_STORAGE_CONNECTION_STRING=... cvexport listen --queue trained
  cvexport listen --queue trained --until-idle            # from cron: handle what is there, and end`,
		Args: cobra.NoArgs,
		RunE: c.withResource(c.run),
	}
	c.addExport(cmd)
	f := cmd.Flags()
	f.StringVar(&c.queue, "queue", "", "the queue's URL, or its name in the environment's storage account")
	f.IntVar(&c.options.MaxTries, "max-tries", 5, "how often to receive a message that fails before it moves to the poison queue")
	f.DurationVar(&c.options.Hidden, "visibility", 5*time.Minute, "how long to hide a message from other listeners at a time; extended while work goes on")
	f.DurationVar(&c.options.Poll, "poll", 10*time.Second, "time between two looks at an empty queue")
	f.DurationVar(&c.options.Retry, "retry-after", time.Minute, "when a failed message comes back; doubled each time, up to 6h")
	f.BoolVar(&c.options.UntilIdle, "until-idle", false, "end when the queue is empty")
	return cmd
}

func (c *listenCommand) run(cmd *cobra.Command, r *config.Resource) (err error) {
	ctx := cmd.Context()
	if err := c.checkFlags(); err != nil {
		return err
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	queue, err := notify.Open(patience.With(ctx, c.Patience.Bounds(display.log)), c.queue, policy.ClientOptions{})
	if err != nil {
		return &usageError{err: err}
	}
	opened := c.stores()
	defer opened.close(&err)
	resource, err := c.open(ctx, opened, r, display.log)
	if err != nil {
		return err
	}
	client := resource.Client
	run := c.newRun("listen")
	run.Begin(r.Name, client.Host())
	c.options.Log = display.log
	c.options.Progress = func() jobs.Progress { return display.export(r.Name) }
	// A failure to report does not end the run: the next iteration reports again.
	c.options.Done = func(p jobs.ProjectResult) {
		run.Add(p, client.Stats())
		printed := runreport.PrintIteration(cmd.OutOrStdout(), c.output == "json", p)
		if err := errors.Join(printed, writeRun(ctx, run, run.Failure())); err != nil {
			display.log.Error("reporting an iteration", "error", err)
		}
	}
	display.log.Info("listening", "queue", c.queue, "warehouse", resource.Store.URL(""))
	err = jobs.Listen(ctx, resource, queue, c.options)
	display.close()
	run.Finish(client.Stats())
	switch {
	case err == nil:
		err = run.Failure()
	case ctx.Err() == nil:
		run.Resources[0].Err = err
	}
	return errors.Join(err, writeRun(ctx, run, err))
}

func (c *listenCommand) checkFlags() error {
	o := c.options
	const maxHidden = 7 * 24 * time.Hour // the queue's limit
	switch {
	case c.queue == "":
		return usageSeeHelp("--queue is needed")
	case o.MaxTries < 1:
		return usage("--max-tries %d is not above 0", o.MaxTries)
	case o.Hidden < time.Second || o.Hidden > maxHidden:
		return usage("--visibility %s is not between 1s and %s", o.Hidden, maxHidden)
	case o.Poll <= 0:
		return usage("--poll %s is not above 0", o.Poll)
	case o.Retry < 0 || o.Retry > time.Hour:
		return usage("--retry-after %s is not between 0 and 1h", o.Retry)
	}
	return nil
}

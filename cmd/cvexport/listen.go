package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/notify"
	"github.com/cvexport/cvexport/jobs"
)

// listenCommand exports iterations as a queue says that they are trained.
type listenCommand struct {
	common
	how
	queue   string
	options jobs.ListenOptions
}

func newListen() *cobra.Command {
	c := &listenCommand{}
	cmd := &cobra.Command{
		Use:   "listen --queue URL",
		Short: "Export each iteration as the service says that its training has ended",
		Long: `Listen takes Custom Vision's notifications from an Azure storage queue and exports
each iteration whose training has ended. A message is deleted only after its
export is committed; one that fails comes back later, and moves to the queue
with -poison at the end of its name when it fails too often. Messages about
projects that the configuration does not want are deleted. SIGTERM ends it in
order and gives the message at hand back, which is no failure. With --until-idle
the exit code says, as that of nightly does, whether something failed.

Report and metrics are of the whole run. They are written after each iteration,
and at the end.

Credentials for the queue are the environment's: AZURE_STORAGE_CONNECTION_STRING,
AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN, or an identity. A token has to be the
account's, to add, update and process messages: one of a single queue reaches no
poison queue, and what fails too often would come back for ever.`,
		Example: `  cvexport listen --queue https://ACCOUNT.queue.core.windows.net/trained --warehouse azblob://vision
  AZURE_STORAGE_CONNECTION_STRING=... cvexport listen --queue trained
  cvexport listen --queue trained --until-idle            # from cron: work off what is there, and end`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	c.addRecords(cmd)
	c.addHow(cmd)
	f := cmd.Flags()
	f.StringVar(&c.queue, "queue", "", "the queue's URL, or its name in the environment's storage account")
	f.IntVar(&c.options.MaxTries, "max-tries", 5, "a message that fails moves to the poison queue when it has been received so often")
	f.DurationVar(&c.options.Hidden, "visibility", 5*time.Minute, "how long a message is kept from other listeners at a time; it is extended while work goes on")
	f.DurationVar(&c.options.Poll, "poll", 10*time.Second, "between two looks at an empty queue")
	f.DurationVar(&c.options.Retry, "retry-after", time.Minute, "when a message that failed comes back; twice as long each time, up to 6h")
	f.BoolVar(&c.options.UntilIdle, "until-idle", false, "end when the queue is empty")
	return cmd
}

func (c *listenCommand) run(cmd *cobra.Command) (err error) {
	settings, err := c.one(cmd)
	if err != nil {
		return err
	}
	if err := c.validateListen(cmd); err != nil {
		return err
	}
	queue, err := notify.Open(cmd.Context(), c.queue, policy.ClientOptions{})
	switch {
	case errors.Is(err, notify.ErrLogin): // worth a restart
		return err
	case err != nil:
		return &usageError{err: err}
	}
	display := newDisplay(cmd.ErrOrStderr(), &c.common)
	defer display.close()
	client, err := c.client(settings, display.log)
	if err != nil {
		return err
	}
	settings.name = firstText(settings.name, client.Host())
	open := stores{}
	defer open.close(&err)
	store, err := open.open(cmd, settings.warehouse)
	if err != nil {
		return err
	}
	run := listening{listenCommand: c, out: cmd.OutOrStdout(), log: display.log, client: client, record: newRecord("listen", &c.common), before: client.Stats()}
	run.night = jobs.ResourceResult{Name: settings.name, Host: client.Host(), Started: run.record.started}
	c.options.Log = display.log
	c.options.Progress = func() jobs.Progress { return display.export(settings.name) }
	c.options.Done = func(p jobs.ProjectResult) { run.done(cmd.Context(), p) }
	r := jobs.Resource{Name: settings.name, Client: client, Store: store, Choice: settings.choice, Request: c.request(settings, &c.common)}
	display.log.Info("listening", "queue", c.queue, "warehouse", store.URL(""))
	err = jobs.Listen(cmd.Context(), r, queue, c.options)
	display.close()
	return run.end(cmd.Context(), err)
}

func (c *listenCommand) validateListen(cmd *cobra.Command) error {
	o := c.options
	const most = 7 * 24 * time.Hour // the queue's limit
	switch {
	case c.queue == "":
		return &usageError{command: cmd.CommandPath(), err: usage("--queue is needed")}
	case o.MaxTries < 1:
		return usage("--max-tries %d is not above 0", o.MaxTries)
	case o.Hidden < time.Second || o.Hidden > most:
		return usage("--visibility %s is not between 1s and %s", o.Hidden, most)
	case o.Poll <= 0 || o.Retry < 0 || o.Retry > time.Hour:
		return usage("--poll %s or --retry-after %s makes no sense: want a poll above 0, and up to an hour to try again", o.Poll, o.Retry)
	}
	return c.how.validate()
}

func (c *listenCommand) printLine(w io.Writer, p jobs.ProjectResult, it jobs.IterationResult) error {
	if c.output == "json" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Project string `json:"project_id"`
			reportIteration
		}{p.ID.String(), newReportIteration(it)})
	}
	line := fmt.Sprintf("%s: iteration %s (%s) of project %s", it.Outcome, it.Name, it.ID, p.ID)
	if it.Result != nil {
		line += fmt.Sprintf(": %s in %s", plural(it.Result.Export.Images, "image"), it.Result.Elapsed.Round(time.Millisecond))
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

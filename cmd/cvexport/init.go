package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
)

// initCommand writes a first configuration.
type initCommand struct {
	common
	keyEnv string

	draft config.Draft
	ask   *prompter // nil without a terminal
}

const keyVariable = "VISION_TRAINING_KEY"

func newInit() *cobra.Command {
	c := &initCommand{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Try a resource, a key and a warehouse, and write a configuration for them",
		Long: `Init asks for the resource's endpoint, for where its training key is, and for the
warehouse; what a flag says is not asked. It lists the projects, tries whether the
warehouse can be written, counts what a first night would read, and then writes a
configuration that only this user can open. It reads no image, and replaces no file.

The key itself is in no flag and not in the configuration: it is in a file of its
own, which init makes if the key is typed, or in an environment variable.

Without a terminal nothing is asked, and what is missing is an error.`,
		Example: `  cvexport init
  cvexport init --endpoint westeurope --key-file /etc/cvexport/key --warehouse gs://my-bucket/vision
  cvexport init --config lab.yaml --key-env LAB_TRAINING_KEY --rate 2    # a free tier`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.File, "config", cmp.Or(os.Getenv("CVEXPORT_CONFIG"), "cvexport.yaml"), "file to write (CVEXPORT_CONFIG)")
	f.StringVar(&c.Endpoint, "endpoint", os.Getenv("VISION_TRAINING_ENDPOINT"), "the resource's URL, or its region such as westeurope (VISION_TRAINING_ENDPOINT)")
	f.StringVar(&c.KeyFile, "key-file", "", "file that holds the training key; at a terminal, init makes it")
	f.StringVar(&c.keyEnv, "key-env", "", "environment variable that holds it (default VISION_TRAINING_KEY, if that is set)")
	f.Float64Var(&c.Rate, "rate", 8, "maximum requests a second; the service allows 10, its free tier 2")
	program.AddWarehouse(f, &c.Warehouse)
	return cmd
}

func (c *initCommand) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	if err := c.checkFile(c.File); err != nil {
		return err
	}
	if c.KeyFile != "" && c.keyEnv != "" {
		return usage("--key-file and --key-env: give one of them")
	}
	c.quiet = true // the log's lines would come between question and answer
	c.ask = newPrompter(ctx, cmd.InOrStdin(), cmd.ErrOrStderr())
	if c.KeyFile == "" && c.keyEnv == "" && c.ask == nil && os.Getenv(keyVariable) != "" {
		c.keyEnv = keyVariable
	}
	if err := c.missing(); c.ask == nil && err != nil {
		return err
	}
	c.draft = config.Draft{Endpoint: c.Endpoint, KeyFile: c.KeyFile, KeyEnv: c.keyEnv, Warehouse: c.Warehouse, Rate: c.Rate}
	given := cmd.Flags().Changed
	asked := c.ask != nil && (!given("endpoint") || !given("key-file") && !given("key-env"))
	resource, projects, err := c.service(ctx, cmd.ErrOrStderr(), given("endpoint"), asked)
	if err != nil {
		return err
	}
	forecast, err := c.warehouse(ctx, cmd.ErrOrStderr(), resource, c.ask != nil && !given("warehouse"))
	if err != nil {
		return err
	}
	if err := c.draft.Write(c.File); err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = &usageError{err: err}
		}
		return err
	}
	return c.report(cmd.OutOrStdout(), resource, projects, forecast)
}

// checkFile returns an error if a file cannot be made.
func (c *initCommand) checkFile(name string) error {
	_, err := os.Lstat(name)
	if err == nil {
		return usage("%s is there already, and nothing is replaced: give another name with --config, or move it away", name)
	}
	folder := filepath.Dir(name)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return usage("--config %s: there is no folder %s: make it first", name, folder)
	}
	return nil
}

// missing names the flags that nobody is there to be asked for.
func (c *initCommand) missing() error {
	var flags []string
	if c.Endpoint == "" {
		flags = append(flags, "--endpoint")
	}
	if c.KeyFile == "" && c.keyEnv == "" {
		flags = append(flags, "--key-file or --key-env")
	}
	if c.Warehouse == "" {
		flags = append(flags, "--warehouse")
	}
	if flags == nil {
		return nil
	}
	return usageSeeHelp("there is no terminal to ask on: give %s", strings.Join(flags, ", "))
}

// again tells why an answer is asked for once more; without a terminal, or for what was
// given with flags, the error is the end.
func (c *initCommand) again(w io.Writer, err error, asked bool) error {
	if err == nil || !asked || c.ask.ctx.Err() != nil {
		return err
	}
	_, err = fmt.Fprintf(program.Messages(w), "That does not work: %v\n", err)
	return err
}

// service asks for endpoint and key until the resource lists its projects.
func (c *initCommand) service(ctx context.Context, w io.Writer, endpointGiven, asked bool) (jobs.Resource, int, error) {
	for {
		if err := c.askService(w, endpointGiven); err != nil {
			return jobs.Resource{}, 0, err
		}
		r, n, err := c.tryService(ctx, w)
		if err == nil {
			return r, n, nil
		}
		if err := c.again(w, err, asked); err != nil {
			return r, 0, err
		}
	}
}

func (c *initCommand) askService(w io.Writer, endpointGiven bool) (err error) {
	d := &c.draft
	for ask := c.ask != nil && !endpointGiven; ; {
		if ask {
			if d.Endpoint, err = c.ask.ask("Endpoint of the resource, such as https://NAME.cognitiveservices.azure.com, or its region", d.Endpoint); err != nil {
				return err
			}
		}
		if _, err = extract.ParseEndpoint(d.Endpoint); err == nil {
			break
		}
		if err := c.again(w, &usageError{err: err}, ask); err != nil {
			return err
		}
		d.Endpoint = c.Endpoint
	}
	for ask := c.ask != nil && c.KeyFile == "" && c.keyEnv == ""; ; {
		if ask {
			err = c.askKey()
		} else if c.ask != nil && c.KeyFile != "" {
			err = c.askToMake()
		}
		if err != nil {
			return err
		}
		if err = d.CheckKey(); err == nil {
			return nil
		}
		if err := c.again(w, &usageError{err: err}, ask); err != nil {
			return err
		}
	}
}

// askKey asks where the key is and, if it is in no file yet, for the key.
func (c *initCommand) askKey() error {
	d := &c.draft
	base := strings.TrimSuffix(c.File, filepath.Ext(c.File)) + ".key"
	suggested := base
	if os.Getenv(keyVariable) != "" {
		suggested = "$" + keyVariable
	}
	where, err := c.ask.ask("File that holds the training key, made if it is not there; or $NAME, a variable", suggested)
	if err != nil {
		return err
	}
	d.KeyFile, d.KeyEnv, d.Key = where, "", ""
	if name, isVariable := strings.CutPrefix(where, "$"); isVariable {
		d.KeyFile, d.KeyEnv = "", name
		return nil
	}
	return c.askToMake()
}

// askToMake asks for the key if its file is not there.
func (c *initCommand) askToMake() error {
	d := &c.draft
	_, err := os.Lstat(d.KeyFile)
	if !errors.Is(err, fs.ErrNotExist) || config.LooksLikeKey(d.KeyFile) {
		return nil // it is checked next
	}
	d.Key, err = c.ask.askHidden("Training key, which goes into " + d.KeyFile + " (it is not shown)")
	return err
}

// tryConcurrency is that of a night unless it is told another.
const tryConcurrency = 4

// tryService makes the draft's client and lists the projects.
func (c *initCommand) tryService(ctx context.Context, w io.Writer) (jobs.Resource, int, error) {
	resource, err := c.draft.Resource(tryConcurrency)
	if err != nil {
		return jobs.Resource{}, 0, &usageError{err: err}
	}
	client, err := resource.Client("cvexport/"+programVersion(), c.logger(w), c.book.Add)
	if err != nil {
		return jobs.Resource{}, 0, &usageError{err: err}
	}
	c.tell(w, "Listing the projects of "+client.Host()+" ...")
	projects, err := client.Projects(ctx)
	return jobs.Resource{Name: resource.Name, Client: client, Request: jobs.Request{Concurrency: tryConcurrency}}, len(projects), err
}

// warehouse asks for the warehouse until it can be used, and looks what a night would do.
func (c *initCommand) warehouse(ctx context.Context, w io.Writer, r jobs.Resource, ask bool) (f jobs.Forecast, err error) {
	for {
		if ask {
			suggested := cmp.Or(c.draft.Warehouse, program.DefaultWarehouse)
			if c.draft.Warehouse, err = c.ask.ask("Warehouse: "+open.Forms(), suggested); err != nil {
				return f, err
			}
		}
		f, err = c.tryWarehouse(ctx, w, r)
		if err == nil {
			return f, nil
		}
		if err := c.again(w, err, ask); err != nil {
			return f, err
		}
		c.draft.Warehouse = c.Warehouse
	}
}

func (c *initCommand) tryWarehouse(ctx context.Context, w io.Writer, r jobs.Resource) (f jobs.Forecast, err error) {
	opened := c.stores()
	defer opened.close(&err)
	patient := program.Brief()
	if r.Store, err = opened.open(patience.With(ctx, patient.Bounds(c.logger(w))), c.draft.Warehouse); err != nil {
		return f, err
	}
	c.tell(w, "Trying the warehouse, and counting what a night would read ...")
	return jobs.Preview(ctx, r)
}

// tell tells the person at the terminal what is being done.
func (c *initCommand) tell(w io.Writer, what string) {
	if c.ask != nil {
		fmt.Fprintln(w, what)
	}
}

// report says what is there, what a night would do, and how to run it.
func (c *initCommand) report(w io.Writer, r jobs.Resource, projects int, f jobs.Forecast) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has %s.\n", r.Client.Host(), runreport.Count(int64(projects), "project"))
	switch {
	case projects == 0:
		fmt.Fprintln(&b, "If you have some, they are in another resource: look at its endpoint. Else make one at https://www.customvision.ai.")
	case f.Iterations == 0:
		fmt.Fprintln(&b, "A night has nothing to do now: no iteration is trained that the warehouse does not have.")
	default:
		of := ""
		if f.Counted < f.Iterations {
			of = " in the first " + runreport.Group(int64(f.Counted))
		}
		fmt.Fprintf(&b, "A first night reads %s, with %s%s: %s, at least %s at %v a second.\n", runreport.Count(int64(f.Iterations), "iteration"),
			runreport.Count(f.Images, "evaluated image"), of, runreport.Count(f.Requests, "request"), lasts(f.Requests, c.Rate), c.Rate)
	}
	if c.draft.Key != "" {
		fmt.Fprintf(&b, "The key is in %s, which only you can open.\n", printable.Line(c.draft.KeyFile))
	}
	if c.draft.KeyEnv != "" {
		fmt.Fprintf(&b, "Set %s wherever the configuration is used, in a scheduler too.\n", c.draft.KeyEnv)
	}
	fmt.Fprintf(&b, "The configuration is in %s.\n\nNext: cvexport nightly --config %s\n", printable.Line(c.File), shellWord(c.File))
	_, err := io.WriteString(w, b.String())
	return err
}

// lasts is how long requests take at a rate.
func lasts(requests int64, rate float64) time.Duration {
	return max(time.Duration(float64(requests)/rate*float64(time.Second)).Round(time.Second), time.Second)
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./,:@%+-]+$`)

// shellWord is text as one word of a shell's.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(printable.Line(text), "'", `'\''`) + "'"
}

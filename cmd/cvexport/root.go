package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
)

// version is set by the linker for a release.
var version = ""

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// common are the flags of every command that reads the service or the warehouse.
type common struct {
	warehouse   string
	endpoint    string
	keyFile     string
	apiVersion  string
	concurrency int
	rate        float64
	retries     int
	spoolDir    string
	logFormat   string
	output      string
	quiet       bool
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "cvexport",
		Short: "Copy Azure Custom Vision's results into Parquet tables",
		Long: `cvexport copies what Azure Custom Vision knows about every evaluated image of a
trained iteration (predictions, tags, regions) into Parquet tables on object
storage, where DuckDB, BigQuery and anything else that reads Parquet can query
them, also when the service has forgotten them.`,
		Example: `  cvexport demo                                           # nothing to set up: simulate, export, query
  export VISION_TRAINING_ENDPOINT=westeurope VISION_TRAINING_KEY=...
  cvexport export --project ID --iteration latest         # the iteration trained last, into ./warehouse
  cvexport verify                                         # is everything in the warehouse whole?`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Runnable, or an unknown command would print the help and succeed.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{command: cmd.CommandPath(), err: err}
	})
	root.AddCommand(newExport(), newVerify(), newSimulate(), newDemo())
	for _, cmd := range root.Commands() {
		markUsage(cmd)
	}
	root.Args = cobra.NoArgs
	markUsage(root)
	return root
}

// markUsage makes wrong arguments and missing flags usage errors.
func markUsage(cmd *cobra.Command) {
	if args := cmd.Args; args != nil {
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return &usageError{command: cmd.CommandPath(), err: err}
			}
			return nil
		}
	}
}

func (c *common) addWarehouse(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.warehouse, "warehouse", fallback("CVEXPORT_WAREHOUSE", "./warehouse"), "where the tables are: a folder, file:// or gs:// (CVEXPORT_WAREHOUSE)")
	f.StringVar(&c.spoolDir, "spool", "", "folder for temporary files, about the size of one iteration's tables (default the system's)")
	f.StringVar(&c.logFormat, "log-format", "text", "text or json, on standard error")
	f.StringVar(&c.output, "output", "text", "text or json, the result on standard output")
	f.BoolVar(&c.quiet, "quiet", false, "no progress, and no log lines below a warning")
}

func (c *common) addService(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.endpoint, "endpoint", os.Getenv("VISION_TRAINING_ENDPOINT"), "the resource's URL, or its region such as westeurope (VISION_TRAINING_ENDPOINT)")
	f.StringVar(&c.keyFile, "key-file", "", "file that holds the training key (default the environment's VISION_TRAINING_KEY)")
	f.StringVar(&c.apiVersion, "api-version", "3.2", "version of the Training API: 3.2, 3.3 or 3.4-preview")
	f.IntVar(&c.concurrency, "concurrency", 4, "pages in flight at most")
	f.Float64Var(&c.rate, "rate", 8, "requests a second at most; the service allows 10, its free tier 2")
	f.IntVar(&c.retries, "retries", 6, "how often a failed request is tried again")
}

func (c *common) validate() error {
	if c.logFormat != "text" && c.logFormat != "json" {
		return usage("--log-format %q is neither text nor json", c.logFormat)
	}
	if c.output != "text" && c.output != "json" {
		return usage("--output %q is neither text nor json", c.output)
	}
	return nil
}

func (c *common) client() (*extract.Client, error) {
	switch {
	case c.concurrency < 1 || c.concurrency > 64:
		return nil, usage("--concurrency %d is not between 1 and 64", c.concurrency)
	case c.retries < 0 || c.retries > 100:
		return nil, usage("--retries %d is not between 0 and 100", c.retries)
	case !(c.rate > 0):
		return nil, usage("--rate %v is not above 0 requests a second", c.rate)
	}
	key, err := c.key()
	if err != nil {
		return nil, &usageError{err: err}
	}
	opts := extract.Options{
		Endpoint: c.endpoint, Key: key, APIVersion: c.apiVersion, Rate: c.rate, Retries: c.retries,
		UserAgent: "cvexport/" + programVersion(),
	}
	if c.retries == 0 {
		opts.Retries = -1
	}
	client, err := extract.NewClient(opts)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return client, nil
}

// key comes from a file or the environment, never from the command line, which
// every user of the machine can read.
func (c *common) key() (string, error) {
	if c.keyFile == "" {
		return strings.TrimSpace(os.Getenv("VISION_TRAINING_KEY")), nil
	}
	f, err := os.Open(c.keyFile)
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	defer f.Close()
	const most = 4096
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return "", fmt.Errorf("reading the key: %w", err)
	}
	if key := strings.TrimSpace(string(b)); key != "" {
		return key, nil
	}
	return "", fmt.Errorf("reading the key: %s is empty", c.keyFile)
}

func (c *common) store(cmd *cobra.Command) (load.Store, error) {
	store, err := load.OpenStore(cmd.Context(), c.warehouse)
	if err != nil {
		return nil, &usageError{err: err}
	}
	return store, nil
}

// closeStore joins a failure to close to what happened before.
func closeStore(store load.Store, err *error) { *err = errors.Join(*err, store.Close()) }

func (c *common) logger(stderr io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	if c.quiet {
		opts.Level = slog.LevelWarn
	}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, opts))
	}
	return slog.New(slog.NewTextHandler(stderr, opts))
}

func fallback(variable, value string) string {
	if v := os.Getenv(variable); v != "" {
		return v
	}
	return value
}

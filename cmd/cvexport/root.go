package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/load/store"
)

const defaultWarehouse = "./warehouse"

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
	config      string
	resource    string
	warehouse   string
	endpoint    string
	keyFile     string
	apiVersion  string
	concurrency int
	rate        float64
	retries     int
	timeout     time.Duration
	longestWait time.Duration
	maxPage     int64 // MiB
	spoolDir    string
	logFormat   string
	output      string
	quiet       bool
	verbose     bool
	report      string
	metrics     string
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
  cvexport nightly                                        # every completed iteration not exported yet
  cvexport verify                                         # is everything in the warehouse whole?
  cvexport sql --dialect duckdb                           # tables, views and evaluation functions, to run`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		// Runnable, or an unknown command would print the help and succeed.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{command: cmd.CommandPath(), err: err}
	})
	root.AddCommand(newExport(), newNightly(), newListen(), newVerify(), newSQL(), newConfig(), newSimulate(), newDemo())
	for _, cmd := range root.Commands() {
		markUsage(cmd)
		for _, below := range cmd.Commands() {
			markUsage(below)
		}
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

func (c *common) addAddress(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.warehouse, "warehouse", os.Getenv("CVEXPORT_WAREHOUSE"), "where the tables are: a folder, file://, gs://, s3:// or azblob:// (CVEXPORT_WAREHOUSE; default "+defaultWarehouse+")")
}

func (c *common) addWarehouse(cmd *cobra.Command) {
	c.addAddress(cmd)
	f := cmd.Flags()
	f.StringVar(&c.spoolDir, "spool", "", "folder for temporary files, about the size of one iteration's tables (default the system's)")
	f.StringVar(&c.logFormat, "log-format", "text", "text or json, on standard error")
	f.StringVar(&c.output, "output", "text", "text or json, the result on standard output")
	f.BoolVar(&c.quiet, "quiet", false, "no progress, and no log lines below a warning")
	f.BoolVar(&c.verbose, "verbose", false, "a log line for every request too")
}

// addRecords are the flags of commands that somebody watches.
func (c *common) addRecords(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.report, "report", "", "file to write the run's report to, as JSON")
	f.StringVar(&c.metrics, "metrics-file", "", "file to write Prometheus metrics to, for node_exporter's textfile collector; its name ends in .prom")
}

func (c *common) addConfig(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.config, "config", os.Getenv("CVEXPORT_CONFIG"), "YAML file of resources; flags and environment weigh more (CVEXPORT_CONFIG)")
	f.StringVar(&c.resource, "resource", "", "name of the one resource of --config to work on")
}

func (c *common) addService(cmd *cobra.Command) {
	c.addConfig(cmd)
	f := cmd.Flags()
	f.StringVar(&c.endpoint, "endpoint", os.Getenv("VISION_TRAINING_ENDPOINT"), "the resource's URL, or its region such as westeurope (VISION_TRAINING_ENDPOINT)")
	f.StringVar(&c.keyFile, "key-file", "", "file that holds the training key (default the environment's VISION_TRAINING_KEY)")
	f.StringVar(&c.apiVersion, "api-version", "3.2", "version of the Training API: 3.2, 3.3 or 3.4-preview")
	f.IntVar(&c.concurrency, "concurrency", 4, "pages in flight at most")
	f.Float64Var(&c.rate, "rate", 8, "requests a second at most; the service allows 10, its free tier 2")
	f.IntVar(&c.retries, "retries", 6, "how often a failed request is tried again")
	f.DurationVar(&c.timeout, "request-timeout", 2*time.Minute, "for one try of a request, with its whole answer")
	f.DurationVar(&c.longestWait, "longest-wait", 2*time.Minute, "that the service may ask for; a request that is to wait longer fails")
	f.Int64Var(&c.maxPage, "max-page", 128, "MiB that a page of 256 images may have")
}

func (c *common) validate() error {
	if c.logFormat != "text" && c.logFormat != "json" {
		return usage("--log-format %q is neither text nor json", c.logFormat)
	}
	if c.output != "text" && c.output != "json" {
		return usage("--output %q is neither text nor json", c.output)
	}
	if c.metrics != "" && filepath.Ext(c.metrics) != ".prom" {
		return usage("--metrics-file %s: node_exporter reads files whose names end in .prom only", c.metrics)
	}
	// A night that cannot tell what it did is better known before it.
	for flag, file := range map[string]string{"report": c.report, "metrics-file": c.metrics} {
		if info, err := os.Stat(filepath.Dir(file)); file != "" && (err != nil || !info.IsDir()) {
			return usage("--%s %s: there is no folder %s: make it first", flag, file, filepath.Dir(file))
		}
	}
	return nil
}

// store opens the warehouse of a command that needs no resource.
func (c *common) store(cmd *cobra.Command) (store.Store, error) {
	return stores{}.open(cmd, firstText(c.warehouse, defaultWarehouse))
}

// closeStore joins a failure to close to what happened before.
func closeStore(store store.Store, err *error) { *err = errors.Join(*err, store.Close()) }

func (c *common) logger(stderr io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	switch {
	case c.quiet:
		opts.Level = slog.LevelWarn
	case c.verbose:
		opts.Level = slog.LevelDebug
	}
	if c.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(stderr, opts))
	}
	return slog.New(slog.NewTextHandler(stderr, opts))
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/internal/regular"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
)

// version is set by the linker for a release.
var version = ""

func programVersion() string { return program.Version(version) }

// userAgent is who the program says it is to servers.
func userAgent() string { return "cvexport/" + programVersion() }

// common has the flags that several commands share.
type common struct {
	config.Flags
	spoolDir  string
	logFormat string
	output    string
	quiet     bool
	verbose   bool
	maxListed int
	report    string
	metrics   string

	threshold, overlap float64
	keepSAS            bool

	book names.Book // for the log
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "cvexport",
		Short: "Copy Azure Custom Vision's results into Parquet tables",
		Long: `cvexport copies what Azure Custom Vision knows about every evaluated image of a
trained iteration (predictions, tags, regions) into Parquet tables on object
storage, where DuckDB, BigQuery and anything else that reads Parquet can query
them, even after the service has deleted them.`,
		Example: `  cvexport demo                                           # nothing to set up: simulate, export, query
  cvexport init                                           # asks for your resource, tries it, writes a configuration
  export VISION_TRAINING_ENDPOINT=westeurope VISION_TRAINING_KEY=...
  cvexport export --project shop --iteration latest       # the iteration trained last, into ./warehouse
  cvexport nightly                                        # every completed iteration not exported yet
  cvexport list                                           # what the service has, and what is exported
  cvexport verify                                         # is everything in the warehouse intact?
  cvexport sql --dialect duckdb                           # tables, views and evaluation functions, to run`,
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		// Without it, cobra prints the help for an unknown command and succeeds.
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(program.FlagError)
	root.AddCommand(newInit(), newExport(), newNightly(), newListen(), newList(), newStatus(), newVerify(), newSQL(), newConfig(), newSimulate(), newDemo(),
		program.NewVersion("cvexport", version, nil))
	return root
}

func (c *common) addWarehouse(cmd *cobra.Command) {
	f := cmd.Flags()
	program.AddWarehouse(f, &c.Warehouse)
	c.Patience.Add(f)
	f.StringVar(&c.spoolDir, "spool", "", "folder for temporary files, about the size of one iteration's tables (default the system's)")
	f.StringVar(&c.logFormat, "log-format", "text", "format of the log on standard error: text or json")
	f.StringVar(&c.output, "output", "text", "format of the result on standard output: text or json")
	f.IntVar(&c.maxListed, "max-objects", store.MaxListed, "maximum number of objects of one table of the warehouse")
	f.BoolVar(&c.quiet, "quiet", false, "show no progress, and log warnings and errors only")
	f.BoolVar(&c.verbose, "verbose", false, "log every request too")
}

// addExport adds the flags of every command that exports iterations.
func (c *common) addExport(cmd *cobra.Command) {
	c.addService(cmd)
	c.addWarehouse(cmd)
	f := cmd.Flags()
	f.Float64Var(&c.threshold, "threshold", 0.5, "probability threshold of the service's own precision and recall")
	f.Float64Var(&c.overlap, "overlap-threshold", 0.3, "box overlap threshold of the service's own precision and recall")
	f.BoolVar(&c.keepSAS, "keep-sas", false, "keep the access tokens in image URIs; they are secrets, and expire after a day")
	f.StringVar(&c.report, "report", "", "file to write the run's report to, as JSON")
	f.StringVar(&c.metrics, "metrics-file", "", "file to write Prometheus metrics to, for node_exporter's textfile collector; its name ends in .prom")
}

func (c *common) addConfig(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.File, "config", os.Getenv("CVEXPORT_CONFIG"), "YAML file of resources; flags override environment variables, which override the file (CVEXPORT_CONFIG)")
	f.StringVar(&c.Resource, "resource", "", "work on this resource of --config only")
}

func (c *common) addService(cmd *cobra.Command) {
	c.addConfig(cmd)
	f := cmd.Flags()
	f.StringVar(&c.Endpoint, "endpoint", os.Getenv("VISION_TRAINING_ENDPOINT"), "the resource's URL, or its region such as westeurope (VISION_TRAINING_ENDPOINT)")
	f.StringVar(&c.KeyFile, "key-file", "", "file that holds the training key (default the environment's VISION_TRAINING_KEY)")
	f.StringVar(&c.APIVersion, "api-version", "3.2", "version of the Training API: 3.2, 3.3 or 3.4-preview")
	f.IntVar(&c.Concurrency, "concurrency", 4, "maximum number of pages in flight")
	f.Float64Var(&c.Rate, "rate", 8, "maximum requests a second; the service allows 10, its free tier 2")
	f.Int64Var(&c.MaxPage, "max-page", 128, "maximum size of a page of 256 images, in MiB")
}

func (c *common) validate() error {
	if c.logFormat != "text" && c.logFormat != "json" {
		return usage("--log-format %q is neither text nor json", c.logFormat)
	}
	if c.maxListed < 0 {
		return usage("--max-objects %d is below 0", c.maxListed)
	}
	if c.output != "text" && c.output != "json" {
		return usage("--output %q is neither text nor json", c.output)
	}
	if c.metrics != "" && filepath.Ext(c.metrics) != ".prom" {
		return usage("--metrics-file %s: its name must end in .prom for node_exporter to read it", c.metrics)
	}
	for name, value := range map[string]float64{"threshold": c.threshold, "overlap-threshold": c.overlap} {
		if !(value >= 0 && value <= 1) {
			return usage("--%s %v is not between 0 and 1", name, value)
		}
	}
	// A run that cannot write its report should fail at once.
	for flag, file := range map[string]string{"report": c.report, "metrics-file": c.metrics} {
		if info, err := os.Stat(filepath.Dir(file)); file != "" && (err != nil || !info.IsDir()) {
			return usage("--%s %s: there is no folder %s: make it first", flag, file, filepath.Dir(file))
		}
		if file == "" {
			continue
		}
		stream, err := regular.Target(file)
		if err == nil && stream != nil {
			err = stream.Close()
			if flag == "metrics-file" {
				err = fmt.Errorf("it is %w, and metrics are merged into one", regular.ErrNotFile)
			}
		}
		if err != nil {
			return usage("--%s: %w", flag, err)
		}
	}
	return nil
}

// withConfig returns a RunE that checks the flags, resolves the configuration, and
// hands it to run.
func (c *common) withConfig(run func(*cobra.Command, *config.Config) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if err := c.tellBegin(cmd); err != nil {
			return &usageError{err: err}
		}
		if err := c.validate(); err != nil {
			return err
		}
		resolved, err := config.Resolve(c.Flags, cmd.Flags().Changed)
		if err != nil {
			return &usageError{err: err}
		}
		return run(cmd, resolved)
	}
}

// withResource is withConfig for a command that works on one resource.
func (c *common) withResource(run func(*cobra.Command, *config.Resource) error) func(*cobra.Command, []string) error {
	return c.withConfig(func(cmd *cobra.Command, resolved *config.Config) error {
		resource, err := resolved.One()
		if err != nil {
			return &usageError{err: err}
		}
		return run(cmd, resource)
	})
}

// open makes the client of a resource and opens its warehouse. If that fails, the
// result has only a name.
func (c *common) open(ctx context.Context, opened stores, r *config.Resource, log *slog.Logger) (jobs.Resource, error) {
	client, err := r.Client(userAgent(), log, c.book.Add)
	if err != nil {
		return jobs.Resource{Name: r.Name}, &usageError{err: err}
	}
	warehouse, err := opened.open(patience.With(ctx, c.Patience.Bounds(log)), r.Warehouse)
	if err != nil {
		return jobs.Resource{Name: r.Name}, err
	}
	return jobs.Resource{Name: r.Name, Client: client, Store: warehouse, Choice: r.Projects, Request: jobs.Request{
		Concurrency: r.Concurrency, ProbabilityThreshold: c.threshold, OverlapThreshold: c.overlap,
		KeepSAS: c.keepSAS, SpoolDir: c.spoolDir, Version: programVersion(),
	}}, nil
}

// stores has the warehouses that a command has opened, by address.
type stores struct {
	byAddress map[string]store.Store
	maxListed int // objects of a table
}

func (c *common) stores() stores { return stores{map[string]store.Store{}, c.maxListed} }

func (s stores) open(ctx context.Context, address string) (store.Store, error) {
	if warehouse, ok := s.byAddress[address]; ok {
		return warehouse, nil
	}
	warehouse, err := open.Open(ctx, address)
	if err != nil {
		return nil, &usageError{err: err}
	}
	warehouse = store.Bounded(warehouse, cmp.Or(s.maxListed, store.MaxListed))
	s.byAddress[address] = warehouse
	return warehouse, nil
}

// close adds failures to close to an error.
func (s stores) close(err *error) {
	for _, warehouse := range s.byAddress {
		*err = errors.Join(*err, warehouse.Close())
	}
}

func (c *common) newRun(command string) *runreport.Run {
	return &runreport.Run{Command: command, Version: programVersion(), ReportFile: c.report, MetricsFile: c.metrics, Started: time.Now().UTC()}
}

// writeRun writes a run's files. failed is how it ended.
func writeRun(ctx context.Context, run *runreport.Run, failed error) error {
	return run.Write(ctx, exitCode(ctx, failed), failed)
}

// logger returns the log on an outlet, which libraries use from now on too.
func (c *common) logger(stderr io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{}
	switch {
	case c.quiet:
		opts.Level = slog.LevelWarn
	case c.verbose:
		opts.Level = slog.LevelDebug
	}
	var handler slog.Handler = slog.NewTextHandler(stderr, opts)
	if c.logFormat == "json" {
		handler = slog.NewJSONHandler(stderr, opts)
	}
	log := slog.New(c.book.Handler(handler))
	program.UseLog(log)
	return log
}

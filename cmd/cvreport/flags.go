package main

import (
	"cmp"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/load/store"
)

// sourceFlags are the flags for the warehouse, which every command has.
type sourceFlags struct {
	warehouse, cache, spool string
	offline, quiet          bool
	patience                program.Patience
	memory                  int // MiB
	maxObjects              int
}

func (s *sourceFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	program.AddWarehouse(f, &s.warehouse)
	s.warehouse = cmp.Or(s.warehouse, program.DefaultWarehouse)
	s.patience.Add(f)
	f.StringVar(&s.cache, "cache", os.Getenv("CVEXPORT_CACHE"), "folder for the copies of warehouses and their rows (CVEXPORT_CACHE; default cvexport in the user's cache folder)")
	f.BoolVar(&s.offline, "offline", false, "use the copy of a remote warehouse as it is, without the network")
	f.IntVar(&s.memory, "memory", 0, "memory that DuckDB may use, in MiB; what needs more is done on disk (default 4096, or what the machine has)")
	f.IntVar(&s.maxObjects, "max-objects", store.MaxListed, "maximum number of objects of one table of the warehouse")
	f.StringVar(&s.spool, "spool", "", "folder for temporary files (default the system's)")
	f.BoolVar(&s.quiet, "quiet", false, "no progress on standard error")
}

// source returns the warehouse, and the folder for the temporary files of the run, which
// the caller closes. Warnings and progress go to standard error.
func (s *sourceFlags) source(cmd *cobra.Command) (*query.Source, *private.Folder, error) {
	temp, err := private.NewFolder(s.spool)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; give another one with --spool", err)
	}
	stderr := cmd.ErrOrStderr()
	return &query.Source{
		Temp:      temp.Path(),
		Warehouse: s.warehouse, Cache: s.cache, Offline: s.offline, Bounds: s.patience.Bounds(nil), Memory: s.memory, MaxListed: s.maxObjects,
		Warn: func(message any) { fmt.Fprintln(program.Messages(stderr), "cvreport: warning:", message) },
		Progress: func(doing, warehouse string) (show func(mirror.Progress), done func()) {
			d := newDisplay(stderr, s.quiet, doing, warehouse)
			return d.show, d.done
		},
	}, temp, nil
}

// addIteration adds the flags that choose an iteration.
func addIteration(f *pflag.FlagSet, project, iteration *string) {
	f.StringVar(project, "project", "", "`name` or id of the project (default: the only one)")
	f.StringVar(iteration, "iteration", "", "`name`, publish name or id of the iteration, or latest, or published (default: latest, the last one trained)")
}

// completeNames has shells offer the names of the warehouse.
func (s *sourceFlags) completeNames(cmd *cobra.Command) {
	program.CompleteNames(cmd, func() []string { return []string{s.warehouse} })
}

// addOutput adds the flags for the rows of a result.
func addOutput(f *pflag.FlagSet, format, output *string) {
	f.StringVar(format, "format", "", "table, csv, json or parquet (default: the extension of --output, or table)")
	f.StringVarP(output, "output", "o", "-", "file to write, which appears when it is complete; - is standard output")
}

// chooseFormat returns the format that the flags ask for.
func chooseFormat(format, output string, stdout io.Writer) (query.Format, error) {
	chosen, err := query.ChooseFormat(format, output)
	if err == nil && chosen == query.Parquet && output == "-" && isTerminal(stdout) {
		err = query.UsageErrorf("a terminal cannot show --format parquet: give a file with --output")
	}
	return chosen, err
}

// reportFlags are the flags of the commands that make reports.
type reportFlags struct {
	sourceFlags
	thumbnails    string
	pictureMemory int // MiB
}

func (r *reportFlags) add(cmd *cobra.Command) {
	r.sourceFlags.add(cmd)
	cmd.Flags().StringVar(&r.thumbnails, "thumbnails", "", "pictures of the images: a folder with files named by image id, or fetch, from where the service keeps them")
	cmd.Flags().IntVar(&r.pictureMemory, "picture-memory", report.DefaultPictureMemory, "memory for opening pictures, in MiB; one that needs more is left out")
}

// pictures returns what --thumbnails asks for; nil for none.
func (r *reportFlags) pictures() (report.Pictures, error) {
	if r.pictureMemory < 1 {
		return nil, query.UsageErrorf("--picture-memory %d is not above 0", r.pictureMemory)
	}
	switch r.thumbnails {
	case "":
		return nil, nil
	case "fetch":
		return report.Fetch(), nil
	}
	pictures, err := report.Folder(r.thumbnails)
	if err != nil {
		return nil, query.UsageErrorf("--thumbnails: %w", err)
	}
	return pictures, nil
}

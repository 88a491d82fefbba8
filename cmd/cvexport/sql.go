package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// sqlCommand prints a script that creates the tables, views and functions.
type sqlCommand struct {
	common
	dialect  string
	dataset  string
	location string
	load     bool

	project    string
	iterations []string
}

func newSQL() *cobra.Command {
	c := &sqlCommand{common: common{logFormat: "text", output: "text"}} // it has neither flag
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "Print the tables, views and evaluation functions as SQL to run",
		Long: `SQL prints a script for DuckDB or BigQuery: the tables over the objects of the
warehouse, the views of what is committed, and the functions that compare
predictions with labels. Both dialects have the same names, columns and meaning.
Running the script again replaces what it created, but no data. The command uses no
network, and needs no credentials, unless a project or iteration is given by name.

Something must be exported first: neither database accepts a table without an
object. A local folder without any export is refused; a bucket or container is not
checked before the script runs.

The tables are views of the objects, in BigQuery external tables; or, with --load,
native ones that hold a copy of the rows. Each further run of the script renews the
copy. DuckDB opens every object of a warehouse at each question: with hundreds of
iterations, that takes from seconds to minutes. Then load it, into a database of its
own, because DuckDB replaces no view by a table; or give --project and --iteration,
which leave the rest of the warehouse out. The script has the ids of what they name:
latest is the one that was the latest when the script was printed. BigQuery reads
warehouses on Google Cloud Storage.

Where DuckDB is not installed, cvreport query has the same views and functions.

` + viewList(),
		Example: `  cvexport sql --dialect duckdb --warehouse ./warehouse > vision.sql && duckdb vision.db -init vision.sql
  cvexport sql --dialect duckdb --load > load.sql && duckdb loaded.db -init load.sql
  cvexport sql --dialect duckdb --project shop --iteration latest > shop.sql
  cvexport sql --dialect bigquery --warehouse gs://my-bucket/vision --dataset vision | bq query --use_legacy_sql=false
  cvexport sql --dialect bigquery --warehouse gs://my-bucket/vision --dataset my-project.vision --load > load.sql`,
		Args: cobra.NoArgs,
		RunE: c.withResource(c.run),
	}
	f := cmd.Flags()
	f.StringVar(&c.dialect, "dialect", "", "duckdb or bigquery")
	program.AddWarehouse(f, &c.Warehouse)
	f.StringVar(&c.dataset, "dataset", "vision", "BigQuery's dataset, as NAME or PROJECT.NAME; the script creates it if it does not exist")
	f.StringVar(&c.location, "location", "", "where BigQuery creates the dataset: the bucket's location, such as EU (default BigQuery's choice)")
	f.BoolVar(&c.load, "load", false, "load the rows into native tables (in BigQuery clustered ones)")
	f.StringVar(&c.project, "project", "", "for DuckDB: `name` or id of the only project that the tables then have")
	f.StringArrayVar(&c.iterations, "iteration", nil, "for DuckDB: `name`, publish name or id of the only iteration that the tables then have, or latest, or published; may be given several times")
	c.addConfig(cmd)
	c.completeNames(cmd)
	return cmd
}

// viewList lists the views and functions.
func viewList() string {
	var b strings.Builder
	b.WriteString("Views and functions:\n")
	for _, v := range schema.Views() {
		fmt.Fprintf(&b, "  %s\n      %s\n", v.Signature(), v.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

var datasetName = regexp.MustCompile(`^([a-z][a-z0-9-]*\.)?[A-Za-z0-9_]+$`)

func (c *sqlCommand) run(cmd *cobra.Command, r *config.Resource) error {
	warehouse, err := open.CheckAddress(r.Warehouse)
	if err != nil {
		return &usageError{err: err}
	}
	script := schema.Script{Dialect: schema.Dialect(c.dialect), Warehouse: filepath.ToSlash(warehouse), Dataset: c.dataset, Location: c.location, Native: c.load}
	switch {
	case script.Dialect != schema.DuckDB && script.Dialect != schema.BigQuery:
		return usageSeeHelp("--dialect %q is neither duckdb nor bigquery", c.dialect)
	case script.Dialect == schema.BigQuery && (c.project != "" || len(c.iterations) > 0):
		return usage("--project and --iteration are for --dialect duckdb: in BigQuery, a condition on project_id and iteration_id reads no other object")
	case script.Dialect == schema.BigQuery && !strings.HasPrefix(warehouse, "gs://"):
		return usage("warehouse %s: BigQuery reads only gs://: copy the warehouse to a Google Cloud Storage bucket first", warehouse)
	case script.Dialect == schema.BigQuery && !datasetName.MatchString(c.dataset):
		return usage("--dataset %q is neither NAME nor PROJECT.NAME", c.dataset)
	}
	if err := c.narrow(cmd.Context(), &script, r.Warehouse); err != nil {
		return err
	}
	if script.Access, err = open.DuckDB(r.Warehouse); err != nil {
		return &usageError{err: err}
	}
	if script.Empty, err = emptyTables(warehouse, script); err != nil {
		return err
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), header(script)+script.String()); err != nil {
		return fmt.Errorf("writing the script: %w", err)
	}
	return nil
}

// narrow limits the script to what the flags name.
func (c *sqlCommand) narrow(ctx context.Context, script *schema.Script, address string) error {
	project, iterations, err := names.Scope(c.project, names.Split(c.iterations), func() (_ []names.Row, err error) {
		opened := c.stores()
		defer opened.close(&err)
		warehouse, err := opened.open(ctx, address)
		if err != nil {
			return nil, err
		}
		exports, unread, err := load.ReadRecords(ctx, warehouse)
		if err == nil && len(exports)+unread == 0 {
			err = nothingExported(warehouse.URL(""))
		}
		return load.Names(exports), err
	})
	if err != nil {
		return err
	}
	if c.project != "" {
		script.Project = project.String()
	}
	for _, id := range iterations {
		script.Iterations = append(script.Iterations, id.String())
	}
	return nil
}

func nothingExported(warehouse string) error {
	return fmt.Errorf("nothing is exported to %s yet: run cvexport nightly first, or check --warehouse", warehouse)
}

// header says which script this is, and which other ones there are.
func header(s schema.Script) string {
	if s.Dialect != schema.DuckDB {
		return ""
	}
	of := ""
	if s.Project != "" || len(s.Iterations) > 0 {
		of = " of the chosen project or iterations alone"
	}
	what := "read the objects" + of + " where they are. Each question opens all of these: with hundreds of iterations, that takes from seconds to minutes."
	if s.Native {
		what = "are a copy of the rows" + of + ", as of when this script is run. Run it again for newer ones. It needs a database of its own."
	}
	return fmt.Sprintf(`-- The warehouse %s in DuckDB, by cvexport sql. The tables %s
--   few iterations, or always the newest rows         cvexport sql --dialect duckdb
--   many iterations, and many questions about them    cvexport sql --dialect duckdb --load
--   one iteration of many                             cvexport sql --dialect duckdb --project NAME --iteration latest

`, strings.ReplaceAll(s.Warehouse, "\n", " "), what)
}

// emptyTables returns the tables of a folder that have no object. A folder without
// exports is an error, as it is probably mistyped.
func emptyTables(warehouse string, s schema.Script) (empty []string, err error) {
	if strings.Contains(warehouse, "://") { // not a folder
		return nil, nil
	}
	for _, t := range schema.Tables() {
		found, err := hasFile(filepath.Join(warehouse, t.Name), s)
		if err != nil {
			return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
		}
		if found {
			continue
		}
		if t.Name == schema.Exports.Name && (s.Project != "" || len(s.Iterations) > 0) {
			return nil, fmt.Errorf("nothing of that project and iteration is exported to %s: check --project, --iteration and --warehouse", warehouse)
		}
		if t.Name == schema.Exports.Name {
			return nil, nothingExported(warehouse)
		}
		empty = append(empty, t.Name)
	}
	return empty, nil
}

// hasFile reports whether a table's folder has a file that the script names.
func hasFile(folder string, s schema.Script) (bool, error) {
	projects := []string{folder}
	if s.Project != "" {
		projects = []string{filepath.Join(folder, "project_id="+s.Project)}
	} else if len(s.Iterations) > 0 {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		projects = nil
		for _, e := range entries {
			projects = append(projects, filepath.Join(folder, e.Name()))
		}
	}
	var folders []string
	for _, p := range projects {
		if len(s.Iterations) == 0 {
			folders = append(folders, p)
		}
		for _, i := range s.Iterations {
			folders = append(folders, filepath.Join(p, "iteration_id="+i))
		}
	}
	for _, f := range folders {
		if found, err := local.HasFile(f, ".parquet"); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

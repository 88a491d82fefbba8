package main

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/schema"
)

// sqlCommand prints the tables, views and functions as a script.
type sqlCommand struct {
	common
	dialect  string
	dataset  string
	location string
	load     bool
}

func newSQL() *cobra.Command {
	c := &sqlCommand{}
	cmd := &cobra.Command{
		Use:   "sql",
		Short: "Print the tables, views and evaluation functions as SQL to run",
		Long: `SQL prints a script to run as it is, in DuckDB or BigQuery: the tables over the
objects of the warehouse, the views of what is committed, and the functions that
judge predictions by labels. Both dialects have the same names, columns and
meaning. Running the script again replaces what it made, and no data; it talks to
nobody, and needs no credentials.

Something has to be exported first: neither database takes a table without an
object. A local folder without any export is refused; in a bucket or container
nobody looks before the script runs.

BigQuery reads warehouses on Google Cloud Storage. Its tables are external ones,
or with --load native ones that hold a copy of the rows, which each further run
of the script renews.

Without DuckDB at hand, cvreport query has the same views and functions.`,
		Example: `  cvexport sql --dialect duckdb --warehouse ./warehouse > vision.sql && duckdb vision.db -init vision.sql
  cvexport sql --dialect bigquery --warehouse gs://my-bucket/vision --dataset vision | bq query --use_legacy_sql=false
  cvexport sql --dialect bigquery --warehouse gs://my-bucket/vision --dataset my-project.vision --load > load.sql`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.dialect, "dialect", "", "duckdb or bigquery")
	c.addAddress(cmd)
	f.StringVar(&c.dataset, "dataset", "vision", "BigQuery's dataset, as NAME or PROJECT.NAME; it is made if need be")
	f.StringVar(&c.location, "location", "", "where BigQuery makes the dataset, which is where the bucket is, such as EU (default BigQuery's choice)")
	f.BoolVar(&c.load, "load", false, "for BigQuery: load the rows into native, clustered tables")
	c.addConfig(cmd)
	// The list takes a millisecond to make, and an export has no use for it.
	long := cmd.Long
	cmd.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		cmd.Long = long + "\n\n" + viewList()
		cmd.Root().HelpFunc()(cmd, args)
	})
	return cmd
}

// viewList is a line for each view and function.
func viewList() string {
	var b strings.Builder
	b.WriteString("Views and functions:\n")
	for _, v := range schema.Views() {
		fmt.Fprintf(&b, "  %s\n      %s\n", v.Signature(), v.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// datasetName is a dataset of BigQuery, with or without its project.
var datasetName = regexp.MustCompile(`^([a-z][a-z0-9-]*\.)?[A-Za-z0-9_]+$`)

func (c *sqlCommand) run(cmd *cobra.Command) error {
	c.logFormat, c.output = "text", "text" // it has neither flag
	r, err := c.one(cmd)
	if err != nil {
		return err
	}
	warehouse, err := open.CheckAddress(r.warehouse)
	if err != nil {
		return &usageError{err: err}
	}
	script := schema.Script{Dialect: schema.Dialect(c.dialect), Warehouse: filepath.ToSlash(warehouse), Dataset: c.dataset, Location: c.location, Native: c.load}
	switch {
	case script.Dialect != schema.DuckDB && script.Dialect != schema.BigQuery:
		return &usageError{command: cmd.CommandPath(), err: fmt.Errorf("--dialect %q is neither duckdb nor bigquery", c.dialect)}
	case script.Dialect == schema.DuckDB && c.load:
		return usage("--load is for --dialect bigquery: DuckDB reads the warehouse in place")
	case script.Dialect == schema.BigQuery && !strings.HasPrefix(warehouse, "gs://"):
		return usage("warehouse %s: BigQuery reads gs:// only: copy the warehouse to a bucket of Google Cloud Storage first", warehouse)
	case script.Dialect == schema.BigQuery && !datasetName.MatchString(c.dataset):
		return usage("--dataset %q is neither NAME nor PROJECT.NAME", c.dataset)
	}
	if script.Access, err = open.DuckDB(r.warehouse); err != nil {
		return &usageError{err: err}
	}
	if script.Empty, err = emptyTables(warehouse); err != nil {
		return err
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), script.String()); err != nil {
		return fmt.Errorf("writing the script: %w", err)
	}
	return nil
}

// emptyTables are those of a folder without any object. Without exports it is none of
// a warehouse, more likely a mistyped one.
func emptyTables(warehouse string) (empty []string, err error) {
	if strings.Contains(warehouse, "://") { // it is not looked at
		return nil, nil
	}
	for _, t := range schema.Tables() {
		found, err := local.HasFile(filepath.Join(warehouse, t.Name), ".parquet")
		if err != nil {
			return nil, fmt.Errorf("looking for the files of table %s: %w", t.Name, err)
		}
		if found {
			continue
		}
		if t.Name == schema.Exports.Name {
			return nil, fmt.Errorf("nothing is exported to %s yet: run cvexport nightly first, or check --warehouse", warehouse)
		}
		empty = append(empty, t.Name)
	}
	return empty, nil
}

package main

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/program"
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
network, and needs no credentials.

Something must be exported first: neither database accepts a table without an
object. A local folder without any export is refused; a bucket or container is not
checked before the script runs.

BigQuery reads warehouses on Google Cloud Storage. Its tables are external ones or,
with --load, native ones that hold a copy of the rows; each further run of the script
renews the copy.

Where DuckDB is not installed, cvreport query has the same views and functions.

` + viewList(),
		Example: `  cvexport sql --dialect duckdb --warehouse ./warehouse > vision.sql && duckdb vision.db -init vision.sql
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
	f.BoolVar(&c.load, "load", false, "for BigQuery: load the rows into native, clustered tables")
	c.addConfig(cmd)
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
	case script.Dialect == schema.DuckDB && c.load:
		return usage("--load is for --dialect bigquery: DuckDB reads the warehouse in place")
	case script.Dialect == schema.BigQuery && !strings.HasPrefix(warehouse, "gs://"):
		return usage("warehouse %s: BigQuery reads only gs://: copy the warehouse to a Google Cloud Storage bucket first", warehouse)
	case script.Dialect == schema.BigQuery && !datasetName.MatchString(c.dataset):
		return usage("--dataset %q is neither NAME nor PROJECT.NAME", c.dataset)
	}
	if script.Access, err = open.DuckDB(r.Warehouse); err != nil {
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

// emptyTables returns the tables of a folder that have no object. A folder without
// exports is an error, as it is probably mistyped.
func emptyTables(warehouse string) (empty []string, err error) {
	if strings.Contains(warehouse, "://") { // not a folder
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

package main

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/spf13/cobra"
)

// queryCommand runs SQL over a warehouse.
type queryCommand struct {
	warehouse string
	format    string
}

func newQuery() *cobra.Command {
	c := &queryCommand{}
	cmd := &cobra.Command{
		Use:   `query "SQL"`,
		Short: "Run SQL over the tables of a warehouse",
		Long: `Query runs SQL with DuckDB over the tables images, predictions, tags, regions,
tag_performance and exports of a warehouse. Each has the columns project_id and
iteration_id besides its own. The SQL is the argument, or standard input for -.
Of several statements, the rows of the last one are shown.`,
		Example: `  cvreport query "SELECT iteration_name, images, precision, recall FROM exports ORDER BY trained_at"
  cvreport query "DESCRIBE predictions"
  cvreport query --format json "SELECT tag_name, count(*) AS n FROM predictions GROUP BY ALL"
  cvreport query --warehouse /data/vision - < question.sql`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{errors.New(`want one argument, the SQL (in quotes), or - for standard input; see cvreport query --help`)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	warehouse := os.Getenv("CVEXPORT_WAREHOUSE")
	if warehouse == "" {
		warehouse = "./warehouse"
	}
	cmd.Flags().StringVar(&c.warehouse, "warehouse", warehouse, "the folder the tables are in (CVEXPORT_WAREHOUSE)")
	cmd.Flags().StringVar(&c.format, "format", "table", "table, csv or json")
	return cmd
}

func (c *queryCommand) run(cmd *cobra.Command, text string) (err error) {
	write, ok := formats[c.format]
	if !ok {
		return &usageError{fmt.Errorf("--format %q is none of table, csv, json", c.format)}
	}
	if text == "-" {
		b, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("reading the sql: %w", err)
		}
		text = string(b)
	}
	root, err := warehousePath(c.warehouse)
	if err != nil {
		return err
	}
	db, err := openWarehouse(cmd.Context(), root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if strings.TrimSpace(text) == "" {
		return &usageError{errors.New("there is no sql to run")}
	}
	rows, err := db.QueryContext(cmd.Context(), text)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	answer, err := readRows(rows)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	return write(cmd.OutOrStdout(), answer)
}

func readRows(rows *sql.Rows) (out result, err error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return result{}, err
	}
	for _, t := range types {
		out.columns = append(out.columns, t.Name())
		out.types = append(out.types, t.DatabaseTypeName())
	}
	for rows.Next() {
		values := make([]any, len(types))
		into := make([]any, len(types))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return result{}, err
		}
		for i := range values {
			values[i] = plain(values[i])
		}
		out.rows = append(out.rows, values)
	}
	return out, rows.Err()
}

// plain turns the driver's own types into Go's.
func plain(v any) any {
	switch v := v.(type) {
	case duckdb.Decimal:
		return v.Float64()
	case duckdb.Map:
		out := map[string]any{}
		for key, value := range v {
			out[fmt.Sprint(key)] = plain(value)
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case []byte:
		return string(v)
	case driver.Valuer:
		if value, err := v.Value(); err == nil {
			return value
		}
	}
	return v
}

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// queryCommand runs SQL over a warehouse.
type queryCommand struct {
	source
	format string
	output string
}

func newQuery() *cobra.Command {
	c := &queryCommand{}
	cmd := &cobra.Command{
		Use:   `query "SQL"`,
		Short: "Run SQL over the tables of a warehouse",
		Long: `Query runs SQL with DuckDB over the tables images, predictions, tags, regions,
tag_performance and exports of a warehouse, and over the views and functions
below. Each table has the columns project_id and iteration_id besides its own.
The SQL is the argument, or standard input for -. Of several statements, the rows
of the last one are written.

Of a remote warehouse, the tables that the SQL names are first copied to a folder
of this machine (--cache), and from then on only what has changed.

The format table is for reading: its columns are as wide as the first rows need.
csv, json and parquet are for any number of rows.

Views, and functions with their arguments:
` + listing(),
		Example: `  cvreport query "SELECT iteration_name, images, precision, recall FROM exports ORDER BY trained_at"
  cvreport query "DESCRIBE FROM outcomes()"

  # precision, recall and F1 of each tag, at probability 0.5 and box overlap 0.3
  cvreport query "SELECT * FROM tag_metrics(0.5, 0.3) ORDER BY f1"

  # the ten images of each iteration that the model got most wrong
  cvreport query "SELECT * FROM hardest_images() WHERE place <= 10 ORDER BY ALL"

  # what a new iteration broke and fixed
  cvreport query "SELECT change, count(*) FROM iteration_changes('PROJECT', 'BEFORE', 'AFTER') GROUP BY ALL"

  # from a bucket to a file; and the SQL from a file
  cvreport query --warehouse gs://my-bucket/vision -o sure.parquet "FROM current_predictions WHERE probability > 0.9"
  cvreport query --format json - < question.sql`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{errors.New(`want one argument, the SQL (in quotes), or - for standard input; see cvreport query --help`)}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	c.addFlags(cmd)
	cmd.Flags().StringVar(&c.format, "format", "", "table, csv, json or parquet (default what --output ends in, or table)")
	cmd.Flags().StringVarP(&c.output, "output", "o", "-", "file to write, which appears when it is whole; - is standard output")
	return cmd
}

func (c *queryCommand) run(cmd *cobra.Command, text string) (err error) {
	ctx, stdout, stderr := cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	if err := c.chooseFormat(stdout); err != nil {
		return err
	}
	if text == "-" {
		b, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return fmt.Errorf("reading the sql: %w", err)
		}
		text = string(b)
	}
	before, last, err := splitLast(text)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if last == "" {
		return &usageError{errors.New("there is no sql to run")}
	}
	out, err := newOutput(c.output, stdout)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.close()) }()
	wanted := namesIn(text)
	root, err := c.localFolder(ctx, stderr, wanted)
	if err != nil {
		return err
	}
	there := wanted
	if !c.isRemote() {
		there = anyName
	}
	db, err := openFor(ctx, root, there, wanted)
	if err != nil {
		return c.explain(err, root)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("starting duckdb: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if before != "" {
		if _, err := conn.ExecContext(ctx, before); err != nil {
			return c.explain(fmt.Errorf("query: %w", err), root)
		}
	}
	if err := c.write(ctx, conn, before, last, out); err != nil {
		return c.explain(fmt.Errorf("query: %w", err), root)
	}
	return nil
}

// chooseFormat checks --format, or takes it from the file's name.
func (c *queryCommand) chooseFormat(stdout io.Writer) error {
	if c.format == "" {
		c.format = "table"
		switch end := strings.TrimPrefix(filepath.Ext(c.output), "."); end {
		case "csv", "json", "parquet":
			c.format = end
		}
	}
	if formats[c.format].write == nil && c.format != "parquet" {
		return &usageError{fmt.Errorf("--format %q is none of table, csv, json, parquet", c.format)}
	}
	if c.format == "parquet" && c.output == "-" && isTerminal(stdout) {
		return &usageError{errors.New("--format parquet is nothing for a terminal: give a file with --output")}
	}
	return nil
}

func (c *queryCommand) write(ctx context.Context, conn *sql.Conn, before, last string, out *output) error {
	if c.format == "parquet" {
		return out.writeFile(func(path string) error { return copyParquet(ctx, conn, last, path) })
	}
	// It may be over again, or no more than a word of a text: then no harm is done.
	return ask(ctx, conn, last, transaction.MatchString(before), formats[c.format].as, func(a answer) error {
		return out.write(func(w io.Writer) error { return formats[c.format].write(w, a) })
	})
}

var transaction = regexp.MustCompile(`(?i)\b(begin|transaction)\b`)

// copyParquet lets DuckDB write the rows, so that their types stay what they are.
func copyParquet(ctx context.Context, conn *sql.Conn, query, path string) error {
	to := fmt.Sprintf("\n) TO '%s' (FORMAT parquet, COMPRESSION zstd)", quoted(path))
	copying, err := conn.PrepareContext(ctx, "COPY (\n"+query+to)
	if err != nil { // DuckDB's own word about what the user wrote, rather than about COPY
		alone, aloneErr := conn.PrepareContext(ctx, query)
		if aloneErr != nil {
			return aloneErr
		}
		return errors.Join(fmt.Errorf("--format parquet is for a SELECT, and the last statement is none that can be copied: use another format: %w", err), alone.Close())
	}
	_, err = copying.ExecContext(ctx)
	return errors.Join(aLineUp(err), copying.Close())
}

// explain adds what the user can do about an error of DuckDB's.
func (c *queryCommand) explain(err error, root string) error {
	if hint := hintOf(err.Error()); hint != "" {
		return fmt.Errorf("%w\n%s", err, hint)
	}
	if c.isRemote() && strings.Contains(err.Error(), root) {
		return fmt.Errorf("%w\nif a file of the cache is damaged, remove the cache and run it again: %s", err, root)
	}
	return err
}

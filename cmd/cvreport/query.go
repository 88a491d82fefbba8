package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/program"
)

type queryCommand struct {
	sourceFlags
	format, output string
	project        string
	iterations     []string
	allowExternal  bool
}

func newQuery() *cobra.Command {
	c := &queryCommand{}
	cmd := &cobra.Command{
		Use:   `query "SQL"`,
		Short: "Run SQL over the tables of a warehouse",
		Long: `Query runs SQL with DuckDB over the tables images, predictions, tags, regions,
tag_performance and exports of a warehouse, and over the views and functions
below. Each table has the columns project_id and iteration_id besides its own.
The SQL is the argument, or standard input for -. If it has several statements, the
rows of the last one are written.

The rows of the tables that the SQL names are first copied to a database on this machine
(--cache), those of a remote warehouse after their objects; later, only what has changed
is read. --project and --iteration leave out the rest of the warehouse. A name is that
of the last export, as it is written or else in upper or lower case.

The SQL can read the warehouse and nothing else, and write nothing but its result:
no other files, no network, no extensions. --allow-external lifts that, for SQL that
you trust.

The format table is for people: its columns are as wide as the first rows need.
csv, json and parquet are for any number of rows.

Views, and functions with their arguments:
` + query.Listing(),
		Example: `  cvreport query "SELECT iteration_name, images, precision, recall FROM exports ORDER BY trained_at"
  cvreport query "DESCRIBE FROM outcomes()"

  # precision, recall and F1 of each tag, at probability 0.5 and box overlap 0.3
  cvreport query "SELECT * FROM tag_metrics(0.5, 0.3) ORDER BY f1"

  # the ten images of each iteration that the model got most wrong
  cvreport query "SELECT * FROM hardest_images() WHERE place <= 10 ORDER BY ALL"

  # what a new iteration broke and fixed
  cvreport query "SELECT change, count(*) FROM iteration_changes('PROJECT', 'BEFORE', 'AFTER') GROUP BY ALL"

  # of one iteration of many: the rest of the warehouse is neither read nor fetched
  cvreport query --project shop --iteration latest "SELECT * FROM tag_metrics()"

  # from a bucket to a file; and the SQL from a file
  cvreport query --warehouse gs://my-bucket/vision -o sure.parquet "FROM current_predictions WHERE probability > 0.9"
  cvreport query --format json - < question.sql

  # with another file, here the one above
  cvreport query --allow-external "SELECT count(*) FROM 'sure.parquet'"`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("want one argument, the SQL (in quotes), or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd, args[0]) },
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return explainComment(program.FlagError(cmd, err)) })
	c.add(cmd)
	f := cmd.Flags()
	f.StringVar(&c.project, "project", "", "`name` or id of the only project that the tables then have")
	f.StringArrayVar(&c.iterations, "iteration", nil, "`name`, publish name or id of the only iteration that the tables then have, or latest, or published; may be given several times")
	c.completeNames(cmd)
	addOutput(f, &c.format, &c.output)
	f.BoolVar(&c.allowExternal, "allow-external", false, "let the SQL use other files, the network, extensions and every setting of DuckDB")
	return cmd
}

// explainComment explains the error about SQL that begins with a comment, which was
// taken for a flag. Flags have no spaces in their names.
func explainComment(err error) error {
	text := ""
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		text = unknown.GetSpecifiedName()
	} else if wrong, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		text = wrong.GetSpecifiedFlag()
	}
	if strings.ContainsFunc(text, unicode.IsSpace) {
		return errors.New("the SQL begins with --, as a flag does: put -- before the SQL, or use - and standard input")
	}
	return err
}

// maxSQL bounds the SQL from standard input, in bytes.
const maxSQL = 16 << 20

// readSQL reads it until it ends, or until ctx does.
func readSQL(ctx context.Context, stdin io.Reader) (text string, err error) {
	done := make(chan struct{})
	var body []byte
	var readErr error
	go func() {
		defer close(done)
		body, readErr = io.ReadAll(io.LimitReader(stdin, maxSQL+1))
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-done:
	}
	if readErr == nil && len(body) > maxSQL {
		readErr = query.UsageErrorf("it has more than %d bytes", maxSQL)
	}
	return string(body), readErr
}

func (c *queryCommand) run(cmd *cobra.Command, text string) (err error) {
	ctx, stdout := cmd.Context(), cmd.OutOrStdout()
	format, err := chooseFormat(c.format, c.output, stdout)
	if err != nil {
		return err
	}
	if text == "-" {
		if text, err = readSQL(ctx, cmd.InOrStdin()); err != nil {
			return fmt.Errorf("reading the SQL: %w", err)
		}
	}
	q, err := query.Parse(text, c.allowExternal)
	if err != nil {
		return err
	}
	source, temp, err := c.source(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	out, err := query.NewOutput(c.output, program.Data(stdout), source.Temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := source.Narrow(ctx, c.project, names.Split(c.iterations)); err != nil {
		return err
	}
	source.Output, source.AllowExternal = out.Folder(), c.allowExternal
	db, err := source.Open(ctx, q.Needs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return source.Explain(q.Run(ctx, db, format, out))
}

// Package query answers SQL over a warehouse with DuckDB: it opens the tables,
// wherever the warehouse is, with the views and functions of package schema over
// them, and writes the rows of a query as text, CSV, JSON or Parquet.
package query

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
)

// UsageError is a request that can never be carried out as it stands, such as a
// malformed address.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// UsageErrorf returns a [UsageError]. It is [fmt.Errorf] otherwise.
func UsageErrorf(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// Format is how a result is written.
type Format string

// The formats.
const (
	Table   Format = "table"
	CSV     Format = "csv"
	JSON    Format = "json"
	Parquet Format = "parquet"
)

// writer writes a format. DuckDB formats each value first, as cast says, because only
// it can format every type that it has, nested in every other. plain formats the values
// of what is not a query.
type writer struct {
	cast  string
	plain func(any) string
	write func(io.Writer, result) error
}

// writers are the formats that are written here.
var writers = map[Format]writer{
	Table: {"COLUMNS(*)::VARCHAR", plainText, writeTable},
	CSV:   {"COLUMNS(*)::VARCHAR", plainText, writeCSV},
	JSON:  {"to_json(COLUMNS(*))::VARCHAR", plainJSON, writeJSON},
}

// ChooseFormat returns the format of a name or, for no name, the one that the output
// file's extension stands for. Without either it is Table.
func ChooseFormat(name, file string) (Format, error) {
	extension := filepath.Ext(file)
	f := cmp.Or(Format(name), Format(strings.TrimPrefix(strings.ToLower(extension), ".")), Table)
	switch {
	case writers[f].write != nil || f == Parquet:
		return f, nil
	case name == "":
		return "", UsageErrorf("--output %s: %s is not one of .table, .csv, .json, .parquet: choose one of them, or give --format", file, extension)
	}
	return "", UsageErrorf("--format %q is not one of table, csv, json, parquet", name)
}

// Query is SQL text, one or several statements.
type Query struct {
	// Needs reports whether the query may read the table, view or function.
	Needs func(name string) bool

	external     bool
	before, last string
}

// Parse checks the syntax of a query and, unless external is true, that its statements
// are such as a database of [Source.Open] without AllowExternal may run.
func Parse(text string, external bool) (*Query, error) {
	if !external {
		if err := checkConfined(text); err != nil {
			return nil, fmt.Errorf("query: %w", err)
		}
	}
	p, err := newParser(external)
	if err != nil {
		return nil, err
	}
	defer p.close()
	before, last, err := splitLast(text, p.count)
	if err != nil {
		return nil, explainRefusal(fmt.Errorf("query: %w", err), external)
	}
	if last == "" {
		return nil, UsageErrorf("there is no SQL to run")
	}
	return &Query{namesIn(text), external, before, last}, nil
}

// Run runs the statements and writes the rows of the last one to out.
func (q *Query) Run(ctx context.Context, db *sql.DB, f Format, out *Output) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("starting duckdb: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := q.run(ctx, conn, f, out); err != nil {
		if hint := hintFor(ctx, conn, err.Error()); hint != "" {
			return fmt.Errorf("query: %w\n%s", err, hint)
		}
		return explainRefusal(fmt.Errorf("query: %w", err), q.external)
	}
	return nil
}

func (q *Query) run(ctx context.Context, conn *sql.Conn, f Format, out *Output) error {
	if q.before != "" {
		if _, err := conn.ExecContext(ctx, q.before); err != nil {
			return err
		}
	}
	if f == Parquet {
		return out.WriteFile(func(path string) error { return copyParquet(ctx, conn, q.last, path) })
	}
	// A false match only costs memory.
	inTransaction := transaction.MatchString(q.before)
	return ask(ctx, conn, q.last, inTransaction, writers[f], out.temp, func(r result) error {
		return out.Write(func(w io.Writer) error { return writers[f].write(w, r) })
	})
}

var transaction = regexp.MustCompile(`(?i)\b(begin|transaction)\b`)

// copyParquet has DuckDB write the rows, which keeps their types.
func copyParquet(ctx context.Context, conn *sql.Conn, query, path string) error {
	to := fmt.Sprintf("\n) TO '%s' (FORMAT parquet, COMPRESSION zstd)", escape(path))
	copying, err := conn.PrepareContext(ctx, "COPY (\n"+query+to)
	if err != nil { // DuckDB's error about the user's statement says more than the one about COPY
		alone, aloneErr := conn.PrepareContext(ctx, query)
		if aloneErr != nil {
			return aloneErr
		}
		return errors.Join(fmt.Errorf("--format parquet needs a SELECT as the last statement, use another format: %w", err), alone.Close())
	}
	_, err = copying.ExecContext(ctx)
	return errors.Join(fixLineNumber(err), copying.Close())
}

package query

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/load/store"
)

// result is what one statement returns. Its rows can be read once.
type result struct {
	columns, types []string
	rows           iter.Seq2[[]cell, error]
}

// cell is a value as text or as JSON, or null.
type cell = sql.Null[string]

// ask runs one statement and passes its result, formatted for w, to use. The driver would keep a whole result in memory, so it goes to a table on disk first,
// which is read in batches; but not in a transaction, which can write to one database
// only. What is not a query (EXPLAIN, INSERT) returns little, and is formatted here.
func ask(ctx context.Context, conn *sql.Conn, statement string, inTransaction bool, w writer, temp string, use func(result) error) error {
	from := " FROM (\n" + statement + "\n)"
	rows, err := conn.QueryContext(ctx, "SELECT *"+from+" LIMIT 0")
	if err != nil { // not a query, or a wrong one: the error about the statement alone is clearer
		if rows, err = conn.QueryContext(ctx, statement); err != nil {
			return err
		}
		return useRows(rows, nil, w.plain, use)
	}
	_, types, err := columnsOf(rows)
	if err := errors.Join(err, rows.Close()); err != nil {
		return err
	}
	query := "SELECT " + w.cast + from
	if !inTransaction {
		return askOnDisk(ctx, conn, query, types, temp, use)
	}
	if rows, err = conn.QueryContext(ctx, query); err != nil {
		return fixLineNumber(err)
	}
	return useRows(rows, types, formatted, use)
}

func askOnDisk(ctx context.Context, conn *sql.Conn, query string, types []string, temp string, use func(result) error) (err error) {
	file := filepath.Join(temp, "result.duckdb")
	attach := fmt.Sprintf("ATTACH '%s' AS cvreport_result", escape(file))
	if _, err := conn.ExecContext(ctx, attach); err != nil {
		return err
	}
	defer func() {
		_, detachErr := conn.ExecContext(context.WithoutCancel(ctx), "DETACH cvreport_result")
		err = errors.Join(err, detachErr, store.IgnoreMissing(os.Remove(file)))
	}()
	if _, err := conn.ExecContext(ctx, "CREATE TABLE cvreport_result.result AS "+query); err != nil {
		return fixLineNumber(err)
	}
	rows, err := conn.QueryContext(ctx, "FROM cvreport_result.result LIMIT 0")
	if err != nil {
		return err
	}
	names, _, err := columnsOf(rows)
	if err := errors.Join(err, rows.Close()); err != nil {
		return err
	}
	return use(result{names, types, batches(ctx, conn, len(names))})
}

var lineNumber = regexp.MustCompile(`(?m)^LINE (\d+):`)

// fixLineNumber corrects the line in an error about a statement that was run with
// one line before it.
func fixLineNumber(err error) error {
	if err == nil || !lineNumber.MatchString(err.Error()) {
		return err
	}
	return errors.New(lineNumber.ReplaceAllStringFunc(err.Error(), func(line string) string {
		n, _ := strconv.Atoi(lineNumber.FindStringSubmatch(line)[1]) // the pattern has digits only
		return fmt.Sprintf("LINE %d:", n-1)
	}))
}

// escape makes text the content of an SQL string.
func escape(text string) string { return strings.ReplaceAll(text, "'", "''") }

// useRows passes the driver's rows to use. types are theirs before DuckDB formatted
// them; nil if it has not.
func useRows(rows *sql.Rows, types []string, format func(any) string, use func(result) error) error {
	names, driverTypes, err := columnsOf(rows)
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	if types == nil {
		types = driverTypes
	}
	return use(result{names, types, scan(rows, len(names), format)})
}

func columnsOf(rows *sql.Rows) (names, types []string, err error) {
	columns, err := rows.ColumnTypes()
	for _, c := range columns {
		names, types = append(names, c.Name()), append(types, c.DatabaseTypeName())
	}
	return names, types, err
}

// batches reads the table of the result, some rows at a time.
func batches(ctx context.Context, conn *sql.Conn, columns int) iter.Seq2[[]cell, error] {
	const size = 50_000 // rows
	return func(yield func([]cell, error) bool) {
		for from, n := 0, size; n == size; from += size {
			rows, err := conn.QueryContext(ctx, "FROM cvreport_result.result WHERE rowid >= $1 AND rowid < $2", from, from+size)
			if err != nil {
				yield(nil, err)
				return
			}
			n = 0
			for row, err := range scan(rows, columns, formatted) {
				if !yield(row, err) || err != nil {
					return
				}
				n++
			}
		}
	}
}

// formatted returns a value that DuckDB has formatted.
func formatted(v any) string {
	text, _ := v.(string) // or nil
	return text
}

// scan reads and closes rows. It formats their values.
func scan(rows *sql.Rows, columns int, format func(any) string) iter.Seq2[[]cell, error] {
	return func(yield func([]cell, error) bool) {
		defer rows.Close() // its error matters only if the rows were read to the end
		values, pointers := make([]any, columns), make([]any, columns)
		for c := range values {
			pointers[c] = &values[c]
		}
		for rows.Next() {
			if err := rows.Scan(pointers...); err != nil {
				yield(nil, err)
				return
			}
			row := make([]cell, columns)
			for c, v := range values {
				row[c] = cell{V: format(v), Valid: v != nil}
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			yield(nil, err)
		}
	}
}

package query

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// result is what one statement returns. Its rows can be read once.
type result struct {
	columns, types []string
	rows           iter.Seq2[[]any, error]
	formatted      bool // by DuckDB: each value is nil or a string
}

// Only DuckDB can format every type that it has, nested in every other.
const (
	castToText = "COLUMNS(*)::VARCHAR"
	castToJSON = "to_json(COLUMNS(*))::VARCHAR"
)

// ask runs one statement and passes its result, formatted by DuckDB, to use. The
// driver would keep a whole result in memory, so it goes to a table on disk first,
// which is read in batches; but not in a transaction, which can write to one database
// only. What is not a query (EXPLAIN, INSERT) returns little, and has the driver's values.
func ask(ctx context.Context, conn *sql.Conn, statement string, inTransaction bool, cast string, use func(result) error) error {
	from := " FROM (\n" + statement + "\n)"
	var types []string
	rows, err := conn.QueryContext(ctx, "SELECT *"+from+" LIMIT 0")
	if err == nil {
		err = useRows(rows, func(r result) error { types = r.types; return nil })
	}
	if err != nil { // not a query, or a wrong one: the error about the statement alone is clearer
		if rows, err = conn.QueryContext(ctx, statement); err != nil {
			return err
		}
		return useRows(rows, use)
	}
	query := "SELECT " + cast + from
	useFormatted := func(r result) error {
		r.types, r.formatted = types, true
		return use(r)
	}
	if !inTransaction {
		return askOnDisk(ctx, conn, query, useFormatted)
	}
	if rows, err = conn.QueryContext(ctx, query); err != nil {
		return fixLineNumber(err)
	}
	return useRows(rows, useFormatted)
}

func askOnDisk(ctx context.Context, conn *sql.Conn, query string, use func(result) error) (err error) {
	folder, err := os.MkdirTemp("", "cvreport-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	attach := fmt.Sprintf("ATTACH '%s' AS cvreport_result", escape(filepath.Join(folder, "result.duckdb")))
	if _, err := conn.ExecContext(ctx, attach); err != nil {
		return err
	}
	defer func() {
		_, detachErr := conn.ExecContext(context.WithoutCancel(ctx), "DETACH cvreport_result")
		err = errors.Join(err, detachErr)
	}()
	if _, err := conn.ExecContext(ctx, "CREATE TABLE cvreport_result.result AS "+query); err != nil {
		return fixLineNumber(err)
	}
	rows, err := conn.QueryContext(ctx, "FROM cvreport_result.result LIMIT 0")
	if err != nil {
		return err
	}
	return useRows(rows, func(r result) error {
		r.rows = batches(ctx, conn, r.types)
		return use(r)
	})
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

// useRows passes the driver's rows to use.
func useRows(rows *sql.Rows, use func(result) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	var r result
	for _, t := range types {
		r.columns = append(r.columns, t.Name())
		r.types = append(r.types, t.DatabaseTypeName())
	}
	r.rows = func(yield func([]any, error) bool) { scan(rows, r.types, yield) }
	return use(r)
}

// batches reads the table of the result, some rows at a time.
func batches(ctx context.Context, conn *sql.Conn, types []string) iter.Seq2[[]any, error] {
	const size = 50_000 // rows
	return func(yield func([]any, error) bool) {
		for from := 0; ; from += size {
			rows, err := conn.QueryContext(ctx, "FROM cvreport_result.result WHERE rowid >= $1 AND rowid < $2", from, from+size)
			if err != nil {
				yield(nil, err)
				return
			}
			n, more := scan(rows, types, yield)
			if err := rows.Close(); err != nil && more {
				yield(nil, err)
				return
			}
			if n < size || !more {
				return
			}
		}
	}
}

// scan yields rows. It returns how many, and whether the caller wants more.
func scan(rows *sql.Rows, types []string, yield func([]any, error) bool) (n int, more bool) {
	pointers := make([]any, len(types))
	for rows.Next() {
		values := make([]any, len(types))
		for i := range values {
			pointers[i] = &values[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			yield(nil, err)
			return n, false
		}
		for i := range values {
			values[i] = plain(values[i], types[i])
		}
		if !yield(values, nil) {
			return n, false
		}
		n++
	}
	if err := rows.Err(); err != nil {
		yield(nil, err)
		return n, false
	}
	return n, true
}

// plain converts the driver's types to Go's, where DuckDB has not formatted the value.
func plain(v any, databaseType string) any {
	switch v := v.(type) {
	case time.Time:
		switch databaseType {
		case "DATE":
			return v.Format(time.DateOnly)
		case "TIME":
			return v.Format("15:04:05.999999")
		}
	case float64:
		switch { // JSON has no such numbers
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case float32:
		if f, ok := plain(float64(v), "").(string); ok {
			return f
		}
	case duckdb.Decimal:
		return v.Float64()
	case duckdb.Map:
		out := map[string]any{}
		for key, value := range v {
			out[fmt.Sprint(key)] = plain(value, "")
		}
		return out
	case []any:
		for i := range v {
			v[i] = plain(v[i], "")
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key], "")
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

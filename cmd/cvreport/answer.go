package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
)

// answer is what one statement gives. Its rows can be gone through once.
type answer struct {
	columns, types []string
	rows           iter.Seq2[[]any, error]
	written        bool // by DuckDB: each value is nil or text
}

// How DuckDB, which alone knows each of its types within each other, writes values.
const (
	asText = "COLUMNS(*)::VARCHAR"
	asJSON = "to_json(COLUMNS(*))::VARCHAR"
)

// ask runs one statement and gives its answer to use, with its values as DuckDB
// writes them. The driver would keep all of the answer in memory: it goes to a table
// on disk first, which is read in pieces; but not within a transaction, which can
// write to no other database. What is no query (EXPLAIN, INSERT) is short, and its
// values are the driver's.
func ask(ctx context.Context, conn *sql.Conn, statement string, inTransaction bool, as string, use func(answer) error) error {
	from := " FROM (\n" + statement + "\n)"
	var types []string
	none, err := conn.QueryContext(ctx, "SELECT *"+from+" LIMIT 0")
	if err == nil {
		err = useRows(none, func(a answer) error { types = a.types; return nil })
	}
	if err != nil { // the statement alone says better what is wrong with it
		rows, err := conn.QueryContext(ctx, statement)
		if err != nil {
			return err
		}
		return useRows(rows, use)
	}
	query := "SELECT " + as + from
	useWritten := func(a answer) error {
		a.types, a.written = types, true
		return use(a)
	}
	if !inTransaction {
		return askOnDisk(ctx, conn, query, useWritten)
	}
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return aLineUp(err)
	}
	return useRows(rows, useWritten)
}

func askOnDisk(ctx context.Context, conn *sql.Conn, query string, use func(answer) error) (err error) {
	folder, err := os.MkdirTemp("", "cvreport-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	attach := fmt.Sprintf("ATTACH '%s' AS cvreport_answer", quoted(filepath.Join(folder, "answer.duckdb")))
	if _, err := conn.ExecContext(ctx, attach); err != nil {
		return err
	}
	defer func() {
		_, detachErr := conn.ExecContext(context.WithoutCancel(ctx), "DETACH cvreport_answer")
		err = errors.Join(err, detachErr)
	}()
	if _, err := conn.ExecContext(ctx, "CREATE TABLE cvreport_answer.answer AS "+query); err != nil {
		return aLineUp(err)
	}
	rows, err := conn.QueryContext(ctx, "SELECT * FROM cvreport_answer.answer LIMIT 0")
	if err != nil {
		return err
	}
	return useRows(rows, func(a answer) error {
		a.rows = pieces(ctx, conn, a.types)
		return use(a)
	})
}

var lineNumber = regexp.MustCompile(`(?m)^LINE (\d+):`)

// aLineUp makes an error about a statement that begins on a second line one about
// the statement alone.
func aLineUp(err error) error {
	if err == nil || !lineNumber.MatchString(err.Error()) {
		return err
	}
	return errors.New(lineNumber.ReplaceAllStringFunc(err.Error(), func(line string) string {
		n, _ := strconv.Atoi(lineNumber.FindStringSubmatch(line)[1]) // digits
		return fmt.Sprintf("LINE %d:", n-1)
	}))
}

func quoted(text string) string { return strings.ReplaceAll(text, "'", "''") }

// useRows gives the driver's rows to use.
func useRows(rows *sql.Rows, use func(answer) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	var a answer
	for _, t := range types {
		a.columns = append(a.columns, t.Name())
		a.types = append(a.types, t.DatabaseTypeName())
	}
	a.rows = func(yield func([]any, error) bool) { scan(rows, a.types, yield) }
	return use(a)
}

// pieces reads the answer's table, some rows at a time.
func pieces(ctx context.Context, conn *sql.Conn, types []string) iter.Seq2[[]any, error] {
	const piece = 50_000 // rows
	return func(yield func([]any, error) bool) {
		for from := 0; ; from += piece {
			rows, err := conn.QueryContext(ctx, "SELECT * FROM cvreport_answer.answer WHERE rowid >= $1 AND rowid < $2", from, from+piece)
			if err != nil {
				yield(nil, err)
				return
			}
			n, more := scan(rows, types, yield)
			if err := rows.Close(); err != nil && more {
				yield(nil, err)
				return
			}
			if n < piece || !more {
				return
			}
		}
	}
}

// scan yields rows. It returns how many, and whether more are wanted.
func scan(rows *sql.Rows, types []string, yield func([]any, error) bool) (n int, more bool) {
	for rows.Next() {
		values := make([]any, len(types))
		into := make([]any, len(types))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
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

// plain turns the driver's own types into Go's, where DuckDB has not written them.
func plain(v any, databaseType string) any {
	switch v := v.(type) {
	case time.Time:
		switch databaseType {
		case "DATE":
			return v.Format(time.DateOnly)
		case "TIME":
			return v.Format("15:04:05.999999")
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

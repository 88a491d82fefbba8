// Package rows has what every reader of a warehouse's rows in DuckDB needs.
package rows

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

// Querier is a database, or a connection to one.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Each scans each row of a query into the pointers and then calls use.
func Each(ctx context.Context, q Querier, query string, pointers []any, use func()) (err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		use()
	}
	return rows.Err()
}

// Quote makes an SQL string. DuckDB allows no parameters as arguments of a function, and
// with parameters in a condition it would open the files of all iterations.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

package report

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// querier is a database, or one connection to it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Projects returns the projects that have a committed export, ordered by name.
func Projects(ctx context.Context, q querier) (projects []Project, err error) {
	var p Project
	err = scan(ctx, q, `SELECT project_id, COALESCE(ARG_MAX(project_name, finished_at), project_id) AS name FROM exports GROUP BY project_id ORDER BY name, project_id`,
		[]any{&p.ID, &p.Name}, func() { projects = append(projects, p) })
	if err != nil {
		return nil, fmt.Errorf("listing the projects: %w", err)
	}
	return projects, nil
}

// Iterations returns the iterations of a project that have a committed export, in the
// order in which they were trained.
func Iterations(ctx context.Context, q querier, project string) (iterations []Iteration, err error) {
	var i Iteration
	err = scan(ctx, q, `
SELECT
  iteration_id, COALESCE(iteration_name, iteration_id),
  CASE WHEN k.model_kind = 'detection' THEN 'detection' ELSE COALESCE(lower(classification_type), 'classification') END,
  COALESCE(strftime(COALESCE(trained_at, created), '%Y-%m-%dT%H:%M:%SZ'), ''), COALESCE(publish_name, ''), COALESCE(domain_id, ''),
  COALESCE(len(tag_filter), 0) > 0, images, precision, recall, average_precision, probability_threshold, overlap_threshold
FROM exports
JOIN model_kinds AS k USING (project_id, iteration_id)
WHERE project_id = `+quote(project)+`
ORDER BY COALESCE(trained_at, created, finished_at), iteration_id`,
		[]any{&i.ID, &i.Name, &i.Kind, &i.Trained, &i.Published, &i.Domain, &i.Filtered, &i.Images,
			&i.Precision, &i.Recall, &i.AveragePrecision, &i.ProbabilityThreshold, &i.OverlapThreshold},
		func() { iterations = append(iterations, i) })
	if err != nil {
		return nil, fmt.Errorf("project %s: listing the iterations: %w", project, err)
	}
	return iterations, nil
}

// warehouse is a connection to a warehouse, for the time that a page is made.
type warehouse struct {
	ctx  context.Context
	conn *sql.Conn
}

// run runs statements.
func (w warehouse) run(statements ...string) error {
	for _, s := range statements {
		if _, err := w.conn.ExecContext(w.ctx, s); err != nil {
			return fmt.Errorf("%w, in %s", err, strings.TrimSpace(s))
		}
	}
	return nil
}

// read scans each row of a query into the pointers and then calls use.
func (w warehouse) read(query string, pointers []any, use func()) error {
	return scan(w.ctx, w.conn, query, pointers, use)
}

func scan(ctx context.Context, q querier, query string, pointers []any, use func()) (err error) {
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

// quote makes an SQL string. DuckDB does not allow parameters as arguments of a function.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func double(f float64) string {
	return "CAST(" + strconv.FormatFloat(f, 'g', -1, 64) + " AS DOUBLE)"
}

package report

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/schema"
)

// Projects returns the projects that have a committed export, ordered by name.
func Projects(ctx context.Context, q rows.Querier) (projects []Project, err error) {
	var p Project
	err = rows.Each(ctx, q, `SELECT project_id, COALESCE(ARG_MAX(project_name, finished_at), project_id) AS name FROM exports GROUP BY project_id ORDER BY name, project_id`,
		[]any{&p.ID, &p.Name}, func() { projects = append(projects, p) })
	if err != nil {
		return nil, fmt.Errorf("listing the projects: %w", err)
	}
	return projects, nil
}

// Iterations returns the iterations of a project that have a committed export, in the
// order in which they were trained.
func Iterations(ctx context.Context, q rows.Querier, project string) (iterations []Iteration, err error) {
	var i Iteration
	err = rows.Each(ctx, q, `
SELECT
  iteration_id, COALESCE(iteration_name, iteration_id),
  CASE WHEN k.model_kind = 'detection' THEN 'detection' ELSE COALESCE(lower(classification_type), 'classification') END,
  COALESCE(strftime(COALESCE(trained_at, created), '%Y-%m-%dT%H:%M:%SZ'), ''), COALESCE(publish_name, ''), COALESCE(domain_id, ''),
  COALESCE(len(tag_filter), 0) > 0, images, precision, recall, average_precision, probability_threshold, overlap_threshold, endpoint_host
FROM exports
JOIN model_kinds AS k USING (project_id, iteration_id)
WHERE project_id = `+rows.Quote(project)+`
ORDER BY COALESCE(trained_at, created, finished_at), iteration_id`,
		[]any{&i.ID, &i.Name, &i.Kind, &i.Trained, &i.Published, &i.Domain, &i.Filtered, &i.Images,
			&i.Precision, &i.Recall, &i.AveragePrecision, &i.ProbabilityThreshold, &i.OverlapThreshold, &i.endpoint},
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
	return rows.Each(w.ctx, w.conn, query, pointers, use)
}

func double(f float64) string {
	return "CAST(" + strconv.FormatFloat(f, 'g', -1, 64) + " AS DOUBLE)"
}

// Errors about options that do not fit the warehouse.
var (
	ErrNotFound = errors.New("not in the warehouse")
	ErrChoice   = errors.New("a choice is needed")
)

// Choose finds a project and one of its iterations by name or id, as [names.Find] says. An
// empty text stands for the warehouse's only project, or the iteration trained last. It
// returns all iterations of the project and the position of the chosen one. An error is
// ErrNotFound or ErrChoice, if it is not about reading the warehouse.
func Choose(ctx context.Context, q rows.Querier, project, iteration string) (_ Project, _ []Iteration, shown int, err error) {
	projects, err := Projects(ctx, q)
	if err != nil {
		return Project{}, nil, 0, err
	}
	at := 0
	switch {
	case len(projects) == 0:
		err = fmt.Errorf("the warehouse holds no committed export: %w (export something first)", ErrNotFound)
	case project == "" && len(projects) > 1:
		err = fmt.Errorf("the warehouse holds %d projects: %w: give --project with one of %s", len(projects), ErrChoice, listProjects(projects))
	case project != "":
		at, err = find(names.Project, project, len(projects), func(n int) (string, names.Item) {
			return projects[n].ID, names.Item{Name: projects[n].Name}
		})
	}
	if err != nil {
		return Project{}, nil, 0, err
	}
	chosen := projects[at]
	iterations, err := Iterations(ctx, q, chosen.ID)
	if err != nil {
		return Project{}, nil, 0, err
	}
	shown, err = findIteration(chosen, iterations, iteration, len(iterations)-1)
	return chosen, iterations, shown, err
}

// findIteration returns the position of an iteration, or fallback for an empty text.
func findIteration(p Project, iterations []Iteration, text string, fallback int) (int, error) {
	if text == "" {
		return fallback, nil
	}
	at, err := find(names.Iteration, text, len(iterations), func(n int) (string, names.Item) {
		order := time.Unix(int64(n), 0) // they are in that of their training
		return iterations[n].ID, names.Item{Name: iterations[n].Name, PublishName: iterations[n].Published, Trained: order}
	})
	if err != nil {
		return 0, fmt.Errorf("project %s (%s): %w", p.ID, printable.Line(p.Name), err)
	}
	return at, nil
}

// find returns the position of what a text means. at returns the id at a position, and its
// names.
func find(noun names.Noun, text string, count int, at func(n int) (id string, _ names.Item)) (int, error) {
	var items []names.Item
	var places []int
	for n := range count {
		id, item := at(n)
		if id == text {
			return n, nil
		}
		var err error
		if item.ID, err = schema.ParseID(id); err == nil { // else of no export of ours
			items, places = append(items, item), append(places, n)
		}
	}
	found, err := names.Find(noun, items, text)
	if e, wrong := errors.AsType[*names.Error](err); wrong {
		kind := ErrNotFound
		if e.Several {
			kind = ErrChoice
		}
		return 0, fmt.Errorf("%w: %w", kind, err)
	}
	return places[slices.IndexFunc(items, func(i names.Item) bool { return i.ID == found.ID })], nil
}

func listProjects(projects []Project) string {
	var texts []string
	for _, p := range projects {
		texts = append(texts, fmt.Sprintf("%.60q (%s)", p.Name, p.ID))
	}
	const shown = 10
	if more := len(texts) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts[:shown], ", "), more)
	}
	return strings.Join(texts, ", ")
}

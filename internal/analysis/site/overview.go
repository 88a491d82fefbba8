package site

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/schema"
)

//go:embed assets
var assets embed.FS

var (
	overviewTemplate = template.Must(template.New("overview.html").Funcs(report.Funcs).ParseFS(assets, "assets/overview.html"))
	errorTemplate    = template.Must(template.ParseFS(assets, "assets/error.html"))
)

// How much a page of the overview shows: what a browser draws at once.
const (
	projectsPerPage     = 20
	iterationsOfProject = 10 // the last ones, where all projects are listed
	iterationsPerPage   = 100
)

// project is a project with some of its iterations, the last trained first.
type project struct {
	report.Project
	All        int // iterations
	Iterations []iteration
}

// iteration is what the overview shows of one, as the service said it.
type iteration struct {
	ID, Name, Trained                   string
	Filtered                            bool // the export was limited to some tags
	Images                              int64
	Precision, Recall, AveragePrecision *float64
}

// span is which of all lines a page shows.
type span struct {
	What           string // projects or iterations
	From, To, All  int    // counted from 1
	Previous, Next string // addresses; empty if there is none
}

// newSpan returns the page of that number, counted from 1 if the text is empty.
func newSpan(what, page string, all, perPage int, address func(page int) string) (span, error) {
	n := 1
	if page != "" {
		var err error
		if n, err = strconv.Atoi(page); err != nil || n < 1 {
			return span{}, fmt.Errorf("page %.20q: %w", page, report.ErrNotFound)
		}
	}
	pages := max(1, (all+perPage-1)/perPage)
	if n > pages {
		return span{}, fmt.Errorf("page %d of %d: %w", n, pages, report.ErrNotFound)
	}
	s := span{What: what, From: (n-1)*perPage + 1, To: min(n*perPage, all), All: all}
	if n > 1 {
		s.Previous = address(n - 1)
	}
	if n < pages {
		s.Next = address(n + 1)
	}
	return s, nil
}

// overview lists the projects, or the iterations of one if only is an id.
func (s *Site) overview(ctx context.Context, only, page string) (_ []byte, err error) {
	db, err := s.Open(ctx, schema.Behind(schema.Exports.Name))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	projects, err := readProjects(ctx, db, only)
	if err != nil {
		return nil, err
	}
	from, to := 1, iterationsOfProject
	var shown span
	switch {
	case only == "":
		shown, err = newSpan("projects", page, len(projects), projectsPerPage, func(n int) string { return "./?page=" + strconv.Itoa(n) })
		if err == nil {
			projects = projects[shown.From-1 : shown.To]
		}
	case len(projects) == 0:
		err = fmt.Errorf("project %s: %w", only, report.ErrNotFound)
	default:
		shown, err = newSpan("iterations", page, projects[0].All, iterationsPerPage, func(n int) string {
			return "project?project=" + url.QueryEscape(only) + "&page=" + strconv.Itoa(n)
		})
		from, to = shown.From, shown.To
	}
	if err != nil {
		return nil, err
	}
	if err := readIterations(ctx, db, projects, from, to); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = overviewTemplate.Execute(&b, map[string]any{
		"Projects": projects, "Only": only != "", "Span": shown, "Version": s.Version, "Style": report.Style(), "Policy": report.Policy("", "'self'"),
	})
	return b.Bytes(), err
}

// readProjects returns the projects that have a committed export, by name, or only one.
func readProjects(ctx context.Context, q rows.Querier, only string) (projects []project, err error) {
	where := ""
	if only != "" {
		where = " WHERE project_id = " + rows.Quote(only)
	}
	var p project
	err = rows.Each(ctx, q, `SELECT project_id, COALESCE(ARG_MAX(project_name, finished_at), project_id) AS name, COUNT(*) FROM exports`+where+` GROUP BY project_id ORDER BY name, project_id`,
		[]any{&p.ID, &p.Name, &p.All}, func() { projects = append(projects, p) })
	if err != nil {
		return nil, fmt.Errorf("listing the projects: %w", err)
	}
	return projects, nil
}

// readIterations adds to each project its iterations from one place to another, counted
// from 1, the last trained.
func readIterations(ctx context.Context, q rows.Querier, projects []project, from, to int) error {
	if len(projects) == 0 {
		return nil
	}
	at := map[string]int{}
	var ids []string
	for n, p := range projects {
		at[p.ID] = n
		ids = append(ids, rows.Quote(p.ID))
	}
	const place = "row_number() OVER (PARTITION BY project_id ORDER BY COALESCE(trained_at, created, finished_at) DESC, iteration_id DESC)"
	var id string
	var i iteration
	err := rows.Each(ctx, q, fmt.Sprintf(`
SELECT
  project_id, iteration_id, COALESCE(iteration_name, iteration_id), COALESCE(strftime(COALESCE(trained_at, created), '%%Y-%%m-%%dT%%H:%%M:%%SZ'), ''),
  COALESCE(len(tag_filter), 0) > 0, images, precision, recall, average_precision
FROM exports
WHERE project_id IN (%s)
QUALIFY %s BETWEEN %d AND %d
ORDER BY project_id, %[2]s`, strings.Join(ids, ", "), place, from, to),
		[]any{&id, &i.ID, &i.Name, &i.Trained, &i.Filtered, &i.Images, &i.Precision, &i.Recall, &i.AveragePrecision},
		func() { projects[at[id]].Iterations = append(projects[at[id]].Iterations, i) })
	if err != nil {
		return fmt.Errorf("listing the iterations: %w", err)
	}
	return nil
}

package site

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// openRows opens a database whose table exports has these rows.
func openRows(ctx context.Context, query string) (_ *sql.DB, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	script := schema.Script{Dialect: schema.DuckDB, Bare: true}
	for _, t := range schema.Tables() {
		script.Empty = append(script.Empty, t.Name)
	}
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 {
			script.Without = append(script.Without, v.Name)
		}
	}
	for _, s := range []string{script.String(), "CREATE TABLE made AS FROM exports", "INSERT INTO made BY NAME " + query, "CREATE OR REPLACE VIEW exports AS FROM made"} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	return db, nil
}

const idOf = "00000000-0000-0000-0000-%012d"

// TestOverviewPages follows the links of an overview of 45 projects, of which the first has
// 230 iterations: every project and iteration is listed, once, in order.
func TestOverviewPages(t *testing.T) {
	const made = `SELECT
  printf('` + idOf + `', p) AS project_id, 'Project ' || printf('%02d', p) AS project_name,
  printf('` + idOf + `', 1000 * p + i) AS iteration_id, 'Iteration ' || i AS iteration_name,
  TIMESTAMP '2026-01-01' + INTERVAL (i) DAY AS trained_at, TIMESTAMP '2027-01-01' AS finished_at,
  20 AS images, CASE i WHEN 1 THEN ['cat'] END AS tag_filter
FROM range(1, 46) AS projects(p), range(1, 231) AS iterations(i) WHERE p = 1 OR i <= p % 12 + 1`
	var wanted []string
	site := &Site{
		Version: "test", Guard: NewGuard(), Log: log.New(io.Discard, "", 0),
		Open: func(ctx context.Context, want func(string) bool) (*sql.DB, error) {
			wanted = nil
			for _, t := range schema.Tables() {
				if want(t.Name) {
					wanted = append(wanted, t.Name)
				}
			}
			return openRows(ctx, made)
		},
	}
	get := func(address string) (int, string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+site.Guard.path+strings.TrimPrefix(address, "./"), nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: site.Guard.cookie})
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	next := regexp.MustCompile(`rel="next" href="([^"]*)"`)
	previous := regexp.MustCompile(`rel="prev" href="([^"]*)"`)
	// follow returns what each page has, from one on.
	follow := func(address string, what *regexp.Regexp) (pages [][]string) {
		t.Helper()
		for {
			code, body := get(address)
			if code != http.StatusOK {
				t.Fatalf("%s: %d: %s", address, code, body)
			}
			if !slices.Equal(wanted, []string{"exports"}) {
				t.Errorf("%s: it reads %v", address, wanted)
			}
			var found []string
			for _, match := range what.FindAllStringSubmatch(body, -1) {
				found = append(found, match[1])
			}
			pages = append(pages, found)
			if (previous.FindString(body) != "") != (len(pages) > 1) {
				t.Errorf("%s: the link to the page before it", address)
			}
			link := next.FindStringSubmatch(body)
			if link == nil {
				return pages
			}
			address = strings.ReplaceAll(link[1], "&amp;", "&")
		}
	}
	pages := follow("", regexp.MustCompile(`<h2><bdi>(Project \d+)`))
	var names []string
	for p := range 45 {
		names = append(names, fmt.Sprintf("Project %02d", p+1))
	}
	if len(pages) != 3 || !slices.Equal(slices.Concat(pages...), names) {
		t.Errorf("projects: %v", pages)
	}
	row := regexp.MustCompile(`<bdi class="name">(Iteration \d+)</bdi>`)
	if first := follow("", row)[0]; len(first) != 3+4+5+6+7+8+9+10+10+10+1+2+3+4+5+6+7+8+9+10 || first[0] != "Iteration 230" || first[9] != "Iteration 221" {
		t.Errorf("%d iterations on the first page: %v", len(first), first)
	}
	project := "project?project=" + fmt.Sprintf(idOf, 1)
	if _, body := get(""); !strings.Contains(body, `<a href="`+project+`">All 230 iterations</a>`) || strings.Count(body, "iterations</a>") != 3 {
		t.Errorf("links to all iterations: %s", body)
	}
	pages, names = follow(project, row), nil
	for n := range 230 {
		names = append(names, fmt.Sprint("Iteration ", 230-n))
	}
	if len(pages) != 3 || len(pages[0]) != 100 || !slices.Equal(slices.Concat(pages...), names) {
		t.Errorf("iterations: %v", pages)
	}
	if _, body := get(project + "&page=3"); strings.Count(body, "(filtered)") != 1 {
		t.Errorf("the filtered iteration is not marked: %s", body)
	}
	for address, code := range map[string]int{
		"?page=1": 200, "?page=3": 200, "?page=4": 404, "?page=0": 404, "?page=-1": 404, "?page=x": 404, "?page=99999999999999999999": 404,
		project + "&page=4": 404, "project?project=" + fmt.Sprintf(idOf, 99): 404, "project?project=Project+01": 404, "project": 200,
	} {
		if got, body := get(address); got != code {
			t.Errorf("%s: %d, want %d: %.300s", address, got, code, body)
		}
	}
}

// An error of a question is explained to who reads the page.
func TestExplained(t *testing.T) {
	site := &Site{
		Version: "test", Guard: NewGuard(), Log: log.New(io.Discard, "", 0),
		Open:    func(context.Context, func(string) bool) (*sql.DB, error) { return nil, errors.New("broken") },
		Explain: func(err error) error { return fmt.Errorf("%w: mend it", err) },
	}
	r := httptest.NewRequest(http.MethodGet, "http://localhost"+site.Guard.path, nil)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: site.Guard.cookie})
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "broken: mend it") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

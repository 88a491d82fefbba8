package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/analysis/site"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/printable/printabletest"
	"github.com/cvexport/cvexport/internal/simulated"
)

// Names in a warehouse, and what DuckDB says about them, are only text in tables, errors
// and pages. Formats for programs keep them as they are.
func TestHostileNames(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 2, Kind: simulated.Detection, Images: 4, Tags: 2})
	name := rows.Quote(printabletest.Hostile)
	exported.Rewrite(t, root, "exports", "iteration_name || "+name+" AS iteration_name", "project_name || "+name+" AS project_name", name+" AS publish_name")
	for _, table := range []string{"predictions", "regions", "tags", "tag_performance"} {
		if files, _ := filepath.Glob(filepath.Join(root, table, "*", "*", "*")); len(files) > 0 {
			exported.Rewrite(t, root, table, "tag_name || "+name+" AS tag_name")
		}
	}
	page := filepath.Join(t.TempDir(), "page.html")
	runs := 0
	for _, args := range [][]string{
		{"query", "SELECT iteration_name, project_name FROM exports"}, {"query", "SELECT CAST(iteration_name AS INTEGER) FROM exports"},
		{"query", "SELECT error(project_name) FROM exports"}, {"query", "SELECT 1 AS " + `"` + printabletest.Hostile + `"`}, {"query", "SELEKT " + name}, {"query", "FROM \"" + printabletest.Hostile + "\""},
		{"query", "EXPLAIN SELECT " + name}, {"coco", "--tags"}, {"html", "-o", page}, {"html", "-o", page, "--project", printabletest.Hostile}, {"html", "-o", page, "--iteration", printabletest.Hostile}, {"coco", "--iteration", printabletest.Hostile},
		{"query", "--format", printabletest.Hostile, "SELECT 1"}, {printabletest.Hostile}, {"serve", "--listen", printabletest.Hostile}, {"query", "-o", page, "--warehouse", printabletest.Hostile, "FROM exports"},
	} {
		full := append([]string{}, args...)
		if !strings.Contains(strings.Join(args, " "), "--warehouse") && len(args) > 1 {
			full = append(full, "--warehouse", root)
		}
		var stdout, stderr bytes.Buffer
		run(full, strings.NewReader(""), &stdout, &stderr)
		runs++
		printabletest.Check(t, fmt.Sprintf("%.100q: standard output", args), stdout.String())
		printabletest.Check(t, fmt.Sprintf("%.100q: standard error", args), stderr.String())
	}
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, "the page", string(body))
	pages := &site.Site{Version: "test", Guard: site.NewGuard(), Log: log.New(io.Discard, "", 0), Open: func(ctx context.Context, _ func(string) bool) (*sql.DB, error) {
		return query.Open(ctx, root, query.All, query.NoFunction)
	}}
	server := httptest.NewServer(pages)
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	get := func(url string, code int) *http.Response {
		t.Helper()
		answer, err := browser.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != code {
			t.Errorf("%s: %d, %v", url, answer.StatusCode, err)
		}
		checkPage(t, url, string(body))
		return answer
	}
	home := get(server.URL+pages.Guard.Path(), http.StatusOK).Request.URL
	get(home.String()+"%1b%5b2J%e2%80%ae", http.StatusNotFound)
	get(home.String()+"report?project=%e2%80%ae%1b", http.StatusNotFound)
	get(server.URL+"/%1b%5b2J%e2%80%ae", http.StatusForbidden)
	var stdout, stderr bytes.Buffer
	if code := run([]string{"query", "--warehouse", root, "--format", "json", "SELECT DISTINCT publish_name FROM exports"}, strings.NewReader(""), &stdout, &stderr); code != exitDone {
		t.Fatal(stderr.String())
	}
	var answer []map[string]string
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil || len(answer) != 1 || answer[0]["publish_name"] != printabletest.Hostile {
		t.Errorf("%v: %q", err, answer)
	}
	if t.Failed() {
		return
	}
	t.Logf("FIGURES: %d runs of cvreport and 5 pages over hostile names and flags: 0 let a terminal obey, or forged a line", runs+1)
}

// checkPage checks a page but its scripts, which have characters of their own.
func checkPage(t *testing.T, where, page string) {
	t.Helper()
	for _, r := range "\x1b\u202e\u2066\u2069\u200e\u200b\u009b\u2028" {
		if at := strings.IndexRune(page, r); at >= 0 {
			t.Errorf("%s holds %q: %.200q", where, r, page[max(0, at-100):])
		}
	}
}

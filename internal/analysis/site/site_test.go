package site

import (
	"context"
	"database/sql"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

func TestSite(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Multiclass, Images: 20, Iterations: 2, Projects: 2})
	opened := 0
	site := &Site{
		Version: "test", Guard: NewGuard("Reports.example"), Log: log.New(io.Discard, "", 0),
		Open: func(context.Context, func(string) bool) (*sql.DB, error) {
			opened++
			return exported.OpenViews(t, root), nil
		},
	}
	get := func(method, host, path string) (int, string, http.Header) {
		t.Helper()
		r := httptest.NewRequest(method, "http://"+host+strings.TrimSuffix(site.Guard.path, "/")+path, nil)
		r.AddCookie(&http.Cookie{Name: cookieName, Value: site.Guard.cookie})
		w := httptest.NewRecorder()
		site.ServeHTTP(w, r)
		return w.Code, w.Body.String(), w.Header()
	}
	projects, err := report.Projects(t.Context(), exported.OpenViews(t, root))
	if err != nil || len(projects) != 2 {
		t.Fatalf("%d projects: %v", len(projects), err)
	}
	iterations, err := report.Iterations(t.Context(), exported.OpenViews(t, root), projects[1].ID)
	if err != nil || len(iterations) != 2 {
		t.Fatalf("%d iterations: %v", len(iterations), err)
	}
	page := "/report?project=" + projects[1].ID
	for name, tc := range map[string]struct {
		method, host, path string
		code               int
		says               string
	}{
		"index":             {"GET", "127.0.0.1:8771", "/", 200, projects[1].ID},
		"index by name":     {"GET", "localhost:8771", "/", 200, iterations[0].ID},
		"index by ours":     {"GET", "reports.example", "/", 200, "Iteration 2"},
		"IPv6":              {"HEAD", "[::1]:8771", "/", 200, ""},
		"another's name":    {"GET", "evil.example", "/", 421, "this is not evil.example"},
		"another's report":  {"GET", "evil.example:8771", page, 421, ""},
		"localhost-like":    {"GET", "localhost.evil.example", "/", 421, ""},
		"writing":           {"POST", "127.0.0.1", "/", 405, "only GET"},
		"report":            {"GET", "127.0.0.1", page, 200, `action="report"`},
		"compared":          {"GET", "127.0.0.1", page + "&iteration=" + iterations[0].ID + "&compare=" + iterations[1].ID, 200, "Content-Security-Policy"},
		"with itself":       {"GET", "127.0.0.1", page + "&iteration=" + iterations[1].ID + "&compare=" + iterations[1].ID, 200, `"shown":1,"compared":0`},
		"first with itself": {"GET", "127.0.0.1", page + "&iteration=" + iterations[0].ID + "&compare=" + iterations[0].ID, 200, `"shown":0,"compared":-1`},
		"no project":        {"GET", "127.0.0.1", "/report", 400, "a choice is needed"},
		"unknown project":   {"GET", "127.0.0.1", "/report?project=<script>", 404, "project &lt;script&gt;: not in the warehouse"},
		"unknown iteration": {"GET", "127.0.0.1", page + "&iteration=x'%20OR%20''='", 404, "not in the warehouse"},
		"by name":           {"GET", "127.0.0.1", "/report?project=" + url.QueryEscape(projects[0].Name), 404, "an address has ids only"},
		"unknown path":      {"GET", "127.0.0.1", "/etc/hosts", 404, "not in the warehouse"},
	} {
		code, body, header := get(tc.method, tc.host, tc.path)
		if code != tc.code || !strings.Contains(body, tc.says) || strings.Contains(body, "<script>:") {
			t.Errorf("%s: %d, want %d and %q: %.300s", name, code, tc.code, tc.says, body)
		}
		if header.Get("X-Frame-Options") != "DENY" || header.Get("Cache-Control") != "private, no-store" || header.Get("Referrer-Policy") != "no-referrer" || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", name, header)
		}
	}

	// A page is the same until the warehouse has changed.
	_, first, _ := get("GET", "localhost", page)
	site.cache[len(site.cache)-1].body = []byte("kept")
	if _, again, _ := get("GET", "localhost", page); again != "kept" {
		t.Error("a page was made again though nothing has changed")
	}
	files, err := filepath.Glob(filepath.Join(root, "exports", "*"+projects[1].ID, "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v: %v", files, err)
	}
	for _, table := range []string{"exports", "images"} {
		if err := os.RemoveAll(strings.Replace(files[0], "exports", table, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, after, _ := get("GET", "localhost", page); after == "kept" || after == first {
		t.Error("a page was not made again though an export is gone")
	}
	for range 2 * cachedPages {
		get("GET", "localhost", page+"&iteration="+iterations[1].ID)
	}
	if len(site.cache) > cachedPages {
		t.Errorf("%d pages are kept", len(site.cache))
	}
}

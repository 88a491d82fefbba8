package report

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/cvexport/cvexport/internal/printable"
)

//go:embed assets
var assets embed.FS

var (
	pageTemplate = template.Must(template.ParseFS(assets, "assets/page.html"))

	style  = asset("page.css")
	script = pageScript()
)

// ChartistVersion is the version of assets/chartist.umd.js, an unchanged file of npm's
// package.
const ChartistVersion = "1.5.0"

// scripts are the page's own scripts, in the order of their dependencies.
var scripts = []string{"base.js", "tables.js", "charts.js", "boxes.js", "sections.js", "coco.js", "mistakes.js", "page.js"}

func asset(name string) string {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func pageScript() string {
	// A browser would request the source map, and there is none.
	library, _, _ := strings.Cut(asset("chartist.umd.js"), "//# sourceMappingURL=")
	var own strings.Builder
	for _, name := range scripts {
		own.WriteString(asset(name))
	}
	return "/*! Chartist " + ChartistVersion + ", MIT. Its licence is at the end of the page. */\n" + library +
		"\n(() => {\n\"use strict\";\n" + own.String() + "})();\n"
}

// Style is the style sheet of every page.
func Style() template.CSS { return template.CSS(style) }

// Funcs are for the templates of other pages: visible makes a name printable and visible,
// day cuts an RFC 3339 timestamp to its day, percent writes a share, which may be nil.
var Funcs = template.FuncMap{"visible": visibleName, "percent": percent, "day": day}

// Policy returns the Content-Security-Policy of a page: only this script and embedded
// pictures, and forms for 'self' or 'none'. Drawings have style attributes, which a hash
// cannot allow.
func Policy(script, forms string) string {
	sum := sha256.Sum256([]byte(script))
	return fmt.Sprintf("default-src 'none'; script-src 'sha256-%s'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action %s",
		base64.StdEncoding.EncodeToString(sum[:]), forms)
}

// Writer writes pages.
type Writer struct {
	Version string
	Now     time.Time
	Served  bool // as a page of a site, with links to the others
}

// Write writes a page as one HTML file that needs nothing else.
func (w Writer) Write(to io.Writer, page *Page) error {
	data, err := json.Marshal(page)
	if err != nil {
		return fmt.Errorf("writing the page's data: %w", err)
	}
	forms := "'none'"
	if w.Served {
		forms = "'self'"
	}
	shown := page.Iterations[page.Shown]
	var b bytes.Buffer
	err = pageTemplate.Execute(&b, map[string]any{
		"Title":           visibleName(page.Project.Name) + ", " + visibleName(shown.Name),
		"Policy":          Policy(script, forms),
		"Style":           Style(),
		"Script":          template.JS(script),
		"Data":            template.JS(printable.JSON(string(data))), // json.Marshal has escaped <, > and &
		"Version":         w.Version,
		"Written":         w.Now.UTC().Format("2006-01-02 15:04 UTC"),
		"ChartistVersion": ChartistVersion,
		"ChartistLicence": asset("chartist.LICENSE"),
		"Nav":             w.nav(page),
	})
	if err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	_, err = to.Write(b.Bytes())
	return err
}

// nav returns the links to other pages; nil in a file.
func (w Writer) nav(page *Page) any {
	if !w.Served {
		return nil
	}
	type choice struct {
		ID, Name        string
		Shown, Compared bool
	}
	nav := struct {
		Project    string
		Iterations []choice
	}{Project: page.Project.ID}
	for n, i := range slices.Backward(page.Iterations) {
		name := visibleName(i.Name)
		if i.Trained != "" {
			name += ", " + day(i.Trained)
		}
		// If the one before is compared with, it stays so whichever is shown next.
		nav.Iterations = append(nav.Iterations, choice{i.ID, name, n == page.Shown, n == page.Compared && n != page.Shown-1})
	}
	return nav
}

// visibleName makes a name printable, and replaces one that has no visible character, so
// that it can be clicked on. base.js does the same.
func visibleName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.In(r, unicode.Z, unicode.Cc, unicode.Cf) }) {
		return printable.Line(name)
	}
	return "(no name)"
}

func day(timestamp string) string {
	day, _, _ := strings.Cut(timestamp, "T")
	return day
}

func percent(f *float64) string {
	if f == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f\u202f%%", *f*100)
}

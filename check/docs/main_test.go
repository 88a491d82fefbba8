// Package docs tests the README and docs/: their links, their commands, which are run
// against the simulated service, and that what is generated is current.
package docs

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.." // of the repository

var (
	update   = flag.Bool("update", false, "write docs/reference/commands.md anew")
	programs string // the folder with cvexport and cvreport
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if programs, err = os.MkdirTemp("", "cvexport-docs-"); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(programs)) }()
	for _, name := range []string{"cvexport", "cvreport"} {
		build := exec.Command("go", "build", "-o", filepath.Join(programs, name), "./cmd/"+name)
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("building %s: %w: %s", name, err, out)
		}
	}
	return m.Run(), nil
}

// page is a page of Markdown.
type page struct {
	path  string // below the root
	lines []string
	code  []bool // whether the line is code, or a fence
}

// pages are those that the repository has.
func pages(t *testing.T) (all []page) {
	t.Helper()
	list := exec.Command("git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		body, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		p := page{path: path, lines: strings.Split(string(body), "\n")}
		fenced := false
		for _, line := range p.lines {
			fence := strings.HasPrefix(strings.TrimSpace(line), "```")
			p.code = append(p.code, fenced || fence || strings.HasPrefix(line, "    "))
			fenced = fenced != fence
		}
		if fenced {
			t.Errorf("%s: a code block does not end", path)
		}
		all = append(all, p)
	}
	if len(all) < 20 {
		t.Fatalf("there are only %d pages", len(all))
	}
	return all
}

var (
	heading    = regexp.MustCompile(`^#+ (.*)$`)
	notInASlug = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// anchors are the names of a page's headings, as GitHub makes them.
func (p page) anchors() map[string]bool {
	found := map[string]bool{}
	for n, line := range p.lines {
		if match := heading.FindStringSubmatch(line); match != nil && !p.code[n] {
			slug := strings.ReplaceAll(notInASlug.ReplaceAllString(strings.ToLower(link.ReplaceAllString(match[1], "]")), ""), " ", "-")
			for unique, k := slug, 1; ; k++ {
				if !found[unique] {
					found[unique] = true
					break
				}
				unique = fmt.Sprint(slug, "-", k)
			}
		}
	}
	return found
}

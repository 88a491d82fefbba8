package docs

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// Every link within the repository leads somewhere, to the heading that it names, and
// every page of docs/ can be reached from its index.
func TestLinks(t *testing.T) {
	all := pages(t)
	anchors := map[string]map[string]bool{}
	for _, p := range all {
		anchors[p.path] = p.anchors()
	}
	leadsTo := map[string][]string{}
	links := 0
	for _, p := range all {
		for n, line := range p.lines {
			if p.code[n] {
				continue
			}
			for _, match := range link.FindAllStringSubmatch(line, -1) {
				links++
				u, err := url.Parse(match[1])
				switch {
				case err != nil:
					t.Errorf("%s:%d: %v", p.path, n+1, err)
					continue
				case u.Scheme != "":
					if u.Scheme != "https" {
						t.Errorf("%s:%d: %s is not https", p.path, n+1, match[1])
					}
					continue
				}
				target := p.path
				if u.Path != "" {
					target = path.Join(path.Dir(p.path), u.Path)
				}
				if _, err := os.Stat(filepath.Join(root, target)); err != nil || strings.HasPrefix(target, "..") {
					t.Errorf("%s:%d: %s leads nowhere", p.path, n+1, match[1])
				} else if u.Fragment != "" && !anchors[target][u.Fragment] {
					t.Errorf("%s:%d: %s has no heading %s", p.path, n+1, target, u.Fragment)
				}
				leadsTo[p.path] = append(leadsTo[p.path], target)
			}
		}
	}
	if links < 70 {
		t.Errorf("only %d links were found", links)
	}
	seen := map[string]bool{}
	var follow func(page string)
	follow = func(page string) {
		if !seen[page] {
			seen[page] = true
			for _, next := range leadsTo[page] {
				follow(next)
			}
		}
	}
	follow("README.md")
	for _, p := range all {
		if strings.HasPrefix(p.path, "docs/") && !seen[p.path] {
			t.Errorf("no link leads to %s", p.path)
		}
	}
}

// The README is short, and every page says at its top what it is for.
func TestForm(t *testing.T) {
	const readme = 200 // lines
	for _, p := range pages(t) {
		if p.path == "README.md" && len(p.lines) > readme {
			t.Errorf("the README has %d lines, more than %d: move something to docs/", len(p.lines), readme)
		}
		if !strings.HasPrefix(p.path, "docs/") {
			continue
		}
		if len(p.lines) < 4 || !strings.HasPrefix(p.lines[0], "# ") || p.lines[1] != "" || len(p.lines[2]) < 20 || p.code[2] || strings.HasPrefix(p.lines[2], "#") {
			t.Errorf("%s does not begin with a title and what it is for", p.path)
		}
	}
}

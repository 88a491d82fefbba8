package deploy

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

const guides = folder + "/README.md"

// The guides name every file, no other, and have at most five lines of commands each, which
// a shell and cvexport understand.
func TestGuides(t *testing.T) {
	body := read(t, guides)
	for _, file := range files(t) {
		name, err := filepath.Rel(folder, file)
		if err != nil {
			t.Fatal(err)
		}
		if name = filepath.ToSlash(name); file != guides && !strings.Contains(body, "`"+name+"`") {
			t.Errorf("no guide is for %s", name)
		}
	}
	named := regexp.MustCompile("deploy/([\\w./*-]+)|`([a-z]+/[\\w.-]+\\.[a-z]+)`").FindAllStringSubmatch(body, -1)
	for _, match := range named {
		glob(t, folder+"/"+match[1]+match[2])
	}
	if len(named) < 10 {
		t.Errorf("they name only %d files", len(named))
	}
	sections := strings.Split(body, "\n\n    ")[1:]
	if len(sections) < 7 {
		t.Errorf("only %d guides", len(sections))
	}
	for _, section := range sections {
		lines, _, _ := strings.Cut(section, "\n\n")
		script := strings.ReplaceAll(lines, "\n    ", "\n")
		if n := strings.Count(strings.TrimSpace(script), "\n") + 1; n > 5 {
			t.Errorf("%d lines: %s", n, script)
		}
		f, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(strings.NewReader(script), guides)
		if err != nil {
			t.Error(err)
			continue
		}
		syntax.Walk(f, func(n syntax.Node) bool {
			call, ok := n.(*syntax.CallExpr)
			if !ok {
				return true
			}
			var words []string
			for _, w := range call.Args {
				words = append(words, w.Lit())
			}
			if i := slices.Index(words, "cvexport"); i == 0 || i > 0 && words[i-1] == "--" {
				if out, err := exec.Command(cvexport(t), append(words[i+1:], "--help")...).CombinedOutput(); err != nil || !strings.Contains(string(out), "Usage:\n  cvexport "+words[i+1]) {
					t.Errorf("%v: %v: %s", words, err, out)
				}
			}
			return true
		})
	}
}

package deploy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// The workflows of GitHub Actions are valid, with the types of their expressions, and each
// command that they run exists.
func TestGitHub(t *testing.T) {
	own, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := filepath.Glob(filepath.Join(folder, "github", "*.yaml"))
	if err != nil || len(own) == 0 || len(theirs) == 0 {
		t.Fatalf("%v, %v: %v", own, theirs, err)
	}
	linter, err := actionlint.NewLinter(os.Stderr, &actionlint.LinterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range slices.Concat(own, theirs) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		problems, err := linter.Lint(file, body, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s:%d:%d: %s", file, p.Line, p.Column, p.Message)
		}
		if found := strings.Contains(string(body), "cvexport nightly") || strings.Contains(string(body), "make test"); !found {
			t.Errorf("%s runs nothing", file)
		}
	}
}

package docs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// docs/reference/commands.md has the help of every command, which the tests of cmd/
// compare with the programs.
func TestCommandsReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Commands\n\nThe help of every command, as `--help` prints it. `make docs` says if it is not; `cd check && go test ./docs -update` writes it.\n")
	count := 0
	for _, program := range []string{"cvexport", "cvreport"} {
		files, err := filepath.Glob(filepath.Join(root, "cmd", program, "testdata", "help", "*.txt"))
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(files, func(a, b string) int { // a command before those below it
			return strings.Compare(strings.TrimSuffix(a, ".txt"), strings.TrimSuffix(b, ".txt"))
		})
		for _, file := range files {
			help, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".txt"), "-", " ")
			b.WriteString("\n## " + name + "\n\n```text\n" + strings.TrimRight(string(help), "\n") + "\n```\n")
			count++
		}
	}
	if count < 10 {
		t.Fatalf("only %d commands were found", count)
	}
	page := filepath.Join(root, "docs", "reference", "commands.md")
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := os.ReadFile(page); err != nil || string(body) != b.String() {
		t.Errorf("%s is not the help of the commands: cd check && go test ./docs -update (%v)", page, err)
	}
}

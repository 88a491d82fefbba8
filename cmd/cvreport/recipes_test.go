package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recipe is a question of docs/how-to/questions.md: its SQL and its answer.
var recipe = regexp.MustCompile("(?s)```sql\n(.*?)```\n\n```\n(.*?)```")

// The recipes have the answers that the page gives, on the demo's data.
func TestRecipes(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	const path, from, to = "../../docs/how-to/questions.md", "-run Recipes -update -->\n", "<!-- end of recipes -->"
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(body), from)
	recipes, after, ok2 := strings.Cut(rest, to)
	if !ok1 || !ok2 || !recipe.MatchString(recipes) {
		t.Fatal("the page has no recipes")
	}
	root := filepath.Join(t.TempDir(), "warehouse")
	demo := exec.Command(builtCvexport(t), "demo", "--quiet", "--warehouse", root, "--html", filepath.Join(t.TempDir(), "report.html"))
	if out, err := demo.CombinedOutput(); err != nil && !strings.Contains(string(out), "neither beside cvexport") { // there is no need of cvreport
		t.Fatalf("%v: %s", err, out)
	}
	got := recipe.ReplaceAllStringFunc(recipes, func(text string) string {
		sql := recipe.FindStringSubmatch(text)[1]
		answer, stderr, code := runQuery(t, "--warehouse", root, sql)
		if code != exitDone {
			t.Errorf("%s%s", sql, stderr)
		}
		return fmt.Sprintf("```sql\n%s```\n\n```\n%s```", sql, answer)
	})
	if diff := cmp.Diff(recipes, got); diff != "" && !*update {
		t.Errorf("go test ./cmd/cvreport -run Recipes -update (-readme +answers):\n%s", diff)
	}
	if *update {
		if err := os.WriteFile(path, []byte(before+from+got+to+after), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

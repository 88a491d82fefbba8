package sql

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// TestRecipes checks that BigQuery accepts the recipes of docs/how-to/questions.md once each table has its
// dataset.
func TestRecipes(t *testing.T) {
	script := schema.Script{Dialect: schema.BigQuery, Warehouse: "gs://bucket", Dataset: "vision"}.String()
	for _, recipe := range readRecipes(t) {
		sql := inDataset.ReplaceAllString(recipe, "$1 vision.$2")
		if sql == recipe {
			t.Errorf("it names no table:\n%s", sql)
		}
		script += sql + ";\n"
	}
	if _, err := Analyze(script); err != nil {
		t.Error(err)
	}
}

func readRecipes(t *testing.T) (all []string) {
	t.Helper()
	body, err := os.ReadFile("../../docs/how-to/questions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipes, _ := strings.Cut(string(body), "## Recipes")
	for _, found := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(recipes, -1) {
		all = append(all, strings.TrimSpace(found[1]))
	}
	if len(all) < 9 {
		t.Fatalf("there are %d recipes", len(all))
	}
	return all
}

// inDataset matches where a recipe names a table, view or function.
var inDataset = func() *regexp.Regexp {
	var names []string
	for _, table := range schema.Tables() {
		names = append(names, table.Name)
	}
	for _, v := range schema.Views() {
		names = append(names, v.Name)
	}
	return regexp.MustCompile(`\b(FROM|JOIN) (` + strings.Join(names, "|") + `)\b`)
}()

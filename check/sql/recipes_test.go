package sql

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// TestRecipes checks that BigQuery accepts the README's recipes once each table has its
// dataset.
func TestRecipes(t *testing.T) {
	body, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipes, _ := strings.Cut(string(body), "### Recipes")
	found := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(recipes, -1)
	if len(found) < 9 {
		t.Fatalf("the README has %d recipes", len(found))
	}
	var names []string
	for _, table := range schema.Tables() {
		names = append(names, table.Name)
	}
	for _, v := range schema.Views() {
		names = append(names, v.Name)
	}
	from := regexp.MustCompile(`\b(FROM|JOIN) (` + strings.Join(names, "|") + `)\b`)
	script := schema.Script{Dialect: schema.BigQuery, Warehouse: "gs://bucket", Dataset: "vision"}.String()
	for _, recipe := range found {
		sql := from.ReplaceAllString(recipe[1], "$1 vision.$2")
		if sql == recipe[1] {
			t.Errorf("it names no table:\n%s", sql)
		}
		script += sql + ";\n"
	}
	if _, err := Analyze(script); err != nil {
		t.Error(err)
	}
}

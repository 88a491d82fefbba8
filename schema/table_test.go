package schema

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
)

func TestTablesAreWellFormed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	tables := Tables()
	if tables[len(tables)-1].Name != Exports.Name || len(DataTables()) != len(tables)-1 {
		t.Error("exports is not the last table, which the commit must be")
	}
	for _, table := range tables {
		if !name.MatchString(table.Name) || table.RowPer == "" || len(table.Key) == 0 {
			t.Errorf("table %+v", table)
		}
		arrowSchema := table.Arrow(ID{1})
		seen := map[string]bool{}
		for i, c := range table.Columns {
			if !name.MatchString(c.Name) || c.Doc == "" || seen[c.Name] {
				t.Errorf("%s: column %+v", table.Name, c)
			}
			seen[c.Name] = true
			if f := arrowSchema.Field(i); f.Name != c.Name || f.Nullable != c.Nullable || table.Column(c.Name) != i {
				t.Errorf("%s.%s is field %v", table.Name, c.Name, f)
			}
			if c.Type == Timestamp && !arrow.TypeEqual(arrowSchema.Field(i).Type, &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}) {
				t.Errorf("%s.%s is %s, want microseconds in UTC", table.Name, c.Name, arrowSchema.Field(i).Type)
			}
		}
		if seen["project_id"] || seen["iteration_id"] || table.Columns[0].Name != "export_id" {
			t.Errorf("%s: a partition key is a column, or export_id is not the first", table.Name)
		}
		for _, key := range table.Key {
			if !seen[key] {
				t.Errorf("%s: key column %s does not exist", table.Name, key)
			}
		}
	}
}

// Warehouses hold these columns: they may grow at the end of a table, with a
// new Version, and change in no other way.
func TestColumnsOnlyGrow(t *testing.T) {
	const path = "testdata/columns.txt"
	var lines []string
	for _, table := range Tables() {
		for _, f := range table.Arrow(ID{}).Fields() {
			lines = append(lines, fmt.Sprintf("%d %s.%s %s nullable=%v", Version, table.Name, f.Name, f.Type, f.Nullable))
		}
	}
	if *update {
		if old, err := os.ReadFile(path); err != nil || strings.HasPrefix(string(old), fmt.Sprintf("%d ", Version)) && string(old) != strings.Join(lines, "\n")+"\n" {
			t.Fatalf("the columns change: raise Version, by which older objects are told (%v)", err)
		}
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Split(strings.TrimSpace(string(body)), "\n"); !slices.Equal(lines, want) {
		t.Errorf("the columns changed:\n%s\nwere:\n%s", strings.Join(lines, "\n"), body)
	}
}

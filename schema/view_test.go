package schema

import (
	"regexp"
	"strings"
	"testing"
)

func TestViewsAreWellFormed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	taken := map[string]bool{}
	for _, table := range Tables() {
		taken[table.Name] = true
	}
	for _, v := range Views() {
		if !name.MatchString(v.Name) || taken[v.Name] || v.Doc == "" || len(v.Columns) == 0 {
			t.Errorf("view %s", v.Name)
		}
		for _, read := range v.Reads {
			if !taken[read] {
				t.Errorf("%s reads %s, which is no table and no view before it", v.Name, read)
			}
		}
		taken[v.Name] = true
		seen, optional := map[string]bool{}, false
		for _, a := range v.Arguments {
			if !name.MatchString(a.Name) || a.Doc == "" || seen[a.Name] || (a.Type != Double && a.Type != String) {
				t.Errorf("%s: argument %+v", v.Name, a)
			}
			if optional && a.Default == "" {
				t.Errorf("%s: argument %s has no default, but one before it has", v.Name, a.Name)
			}
			seen[a.Name], optional = true, a.Default != ""
		}
		for _, c := range v.Columns {
			if !name.MatchString(c.Name) || c.Doc == "" || seen[c.Name] {
				t.Errorf("%s: column %+v", v.Name, c)
			}
			seen[c.Name] = true
		}
	}
}

func TestBehind(t *testing.T) {
	for names, want := range map[string]string{
		"":                              "",
		"nothing":                       "",
		"exports":                       "exports",
		"regions tags":                  "tags regions",
		"current_images":                "images exports",
		"current_labels":                "predictions tags regions exports",
		"outcomes":                      "predictions tags regions exports",
		"hardest_images":                "images predictions tags regions exports",
		"average_precision nothing":     "predictions tags regions tag_performance exports",
		"export_health":                 "images predictions tags regions tag_performance exports",
		"iteration_changes predictions": "images predictions tags regions tag_performance exports",
	} {
		behind := Behind(strings.Fields(names)...)
		var tables []string
		for _, table := range Tables() {
			if behind(table.Name) {
				tables = append(tables, table.Name)
			}
		}
		if got := strings.Join(tables, " "); got != want {
			t.Errorf("behind %s are %s, want %s", names, got, want)
		}
	}
}

// A name of a folder, bucket or dataset cannot leave its place in a script.
func TestScriptQuotes(t *testing.T) {
	duckDB := Script{Dialect: DuckDB, Warehouse: "/data/it's [a] house?"}.String()
	if want := "read_parquet('/data/it''s [[]a] house[?]/images/**/*.parquet', hive_partitioning = true, union_by_name = true,"; !strings.Contains(duckDB, want) {
		t.Errorf("%.400s\nwant %s", duckDB, want)
	}
	bigQuery := Script{Dialect: BigQuery, Warehouse: `gs://b/it's a \ house`, Dataset: "my-project.vision"}.String()
	for _, want := range []string{`hive_partition_uri_prefix = 'gs://b/it\'s a \\ house/images'`, "CREATE OR REPLACE VIEW `my-project`.`vision`.`current_images` ("} {
		if !strings.Contains(bigQuery, want) {
			t.Errorf("%.800s\nwant %s", bigQuery, want)
		}
	}
}

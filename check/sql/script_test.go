package sql

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/schema"
)

// TestScript checks that the script creates in BigQuery what the schema describes.
func TestScript(t *testing.T) {
	for _, native := range []bool{false, true} {
		script := schema.Script{Dialect: schema.BigQuery, Warehouse: "gs://bucket/it's a \\ folder", Dataset: "project-1.vision", Location: "EU", Native: native}
		statements, err := Analyze(script.String())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, s := range statements {
			got[s.Kind+" "+s.Name] = append(asText(s.Arguments), asText(s.Columns)...)
		}
		want := map[string][]string{"CREATE SCHEMA project-1.vision": nil}
		kind := "CREATE EXTERNAL TABLE"
		if native {
			kind = "LOAD DATA"
		}
		for _, table := range schema.Tables() {
			want[kind+" project-1.vision."+table.Name] = append(columns(table.Columns), "project_id STRING", "iteration_id STRING")
		}
		for _, v := range schema.Views() {
			kind := "CREATE VIEW"
			if len(v.Arguments) > 0 {
				kind = "CREATE TABLE FUNCTION"
			}
			var all []string
			for _, a := range v.Arguments {
				all = append(all, a.Name+" "+bigQueryType(schema.Column{Type: a.Type}))
			}
			want[kind+" project-1.vision."+v.Name] = append(all, columns(v.Columns)...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("native %v (-schema +bigquery):\n%s", native, diff)
		}
	}
}

func asText(list []Column) (all []string) {
	for _, c := range list {
		all = append(all, c.Name+" "+c.Type)
	}
	return all
}

func columns(list []schema.Column) (all []string) {
	for _, c := range list {
		all = append(all, c.Name+" "+bigQueryType(c))
	}
	return all
}

// bigQueryType repeats what the script's own code does, so that a mistake there is found.
func bigQueryType(c schema.Column) string {
	switch c.Type {
	case schema.Timestamp:
		return "TIMESTAMP"
	case schema.Double:
		return "FLOAT64"
	case schema.Int32, schema.Int64:
		return "INT64"
	case schema.StringList:
		return "ARRAY<STRING>"
	case schema.StructList:
		return "ARRAY<STRUCT<" + strings.NewReplacer("rows", "`rows`").Replace(strings.Join(columns(c.Fields), ", ")) + ">>"
	}
	return "STRING"
}

package schema

import (
	"fmt"
	"strings"
	"text/template"
)

// Dialect is a kind of SQL.
type Dialect string

// The dialects.
const (
	DuckDB   Dialect = "duckdb"   // 1.4 or later
	BigQuery Dialect = "bigquery" // GoogleSQL
)

// dialect is everything in which the dialects differ, but for what a [Script]
// says once: where the tables come from, and how a view is made.
type dialect struct {
	Dialect
	dataset string // BigQuery's, empty for DuckDB
}

// functions are what a view's template can call.
func (d dialect) functions() template.FuncMap {
	return template.FuncMap{
		// ref names a table, a view, or a function to call.
		"ref": d.ref,
		// type names a type, for a cast.
		"bigquery": func() bool { return d.Dialect == BigQuery },
		// inline keeps DuckDB from computing a common table expression that is read
		// twice once, of all iterations, before it looks which one is asked for.
		"inline": func() string {
			if d.Dialect == BigQuery {
				return ""
			}
			return " NOT MATERIALIZED"
		},
		// once has DuckDB compute a common table expression once. It is for one whose
		// every use is for the same iterations: then DuckDB looks which they are first.
		"once": func() string {
			if d.Dialect == BigQuery {
				return ""
			}
			return " MATERIALIZED"
		},
		// size is how long a list is.
		"size": func(list string) string {
			if d.Dialect == BigQuery {
				return "ARRAY_LENGTH(" + list + ")"
			}
			return "len(" + list + ")"
		},
		"type": func(name string) string { return d.typeName(Column{Type: typeNamed(name)}) },
	}
}

// ref is the name of a table, view or function. BigQuery wants the dataset, as
// nothing that is stored knows a default one.
func (d dialect) ref(name string) string {
	if d.Dialect == BigQuery {
		return d.quoteName(d.dataset + "." + name)
	}
	return name
}

func (d dialect) typeName(c Column) string {
	names := map[Type]string{String: "VARCHAR", Timestamp: "TIMESTAMP WITH TIME ZONE", Double: "DOUBLE", Int32: "INTEGER", Int64: "BIGINT", StringList: "VARCHAR[]"}
	structList := "STRUCT(%s)[]"
	if d.Dialect == BigQuery {
		names = map[Type]string{String: "STRING", Timestamp: "TIMESTAMP", Double: "FLOAT64", Int32: "INT64", Int64: "INT64", StringList: "ARRAY<STRING>"}
		structList = "ARRAY<STRUCT<%s>>"
	}
	if c.Type != StructList {
		return names[c.Type]
	}
	var fields []string
	for _, f := range c.Fields {
		fields = append(fields, d.quoteName(f.Name)+" "+d.typeName(f))
	}
	return fmt.Sprintf(structList, strings.Join(fields, ", "))
}

// quoteName quotes a name, which may be a word of the language. BigQuery's may be
// a path.
func (d dialect) quoteName(s string) string {
	if d.Dialect == BigQuery {
		return "`" + strings.ReplaceAll(s, ".", "`.`") + "`"
	}
	return `"` + s + `"`
}

// quote makes a string literal. In BigQuery a backslash begins an escape.
func (d dialect) quote(s string) string {
	if d.Dialect == BigQuery {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

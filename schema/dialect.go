package schema

import (
	"fmt"
	"strings"
	"text/template"
)

// Dialect is a dialect of SQL.
type Dialect string

// The dialects.
const (
	DuckDB   Dialect = "duckdb"   // 1.4 or later
	BigQuery Dialect = "bigquery" // GoogleSQL
)

// dialect has the differences between dialects, apart from the statements that
// [Script] builds to define tables and views.
type dialect struct {
	Dialect
	dataset string // BigQuery's, empty for DuckDB
}

// functions returns the functions that a view's template can call.
func (d dialect) functions() template.FuncMap {
	return template.FuncMap{
		// ref names a table, a view, or a function to call.
		"ref": d.ref,
		// type names a type, for a cast.
		"bigquery": func() bool { return d.Dialect == BigQuery },
		// inline keeps DuckDB from computing a common table expression that is used
		// twice for all iterations, before it filters them.
		"inline": func() string {
			if d.Dialect == BigQuery {
				return ""
			}
			return " NOT MATERIALIZED"
		},
		// once makes DuckDB compute a common table expression only once. All of its uses
		// must be for the same iterations, which DuckDB then filters first.
		"once": func() string {
			if d.Dialect == BigQuery {
				return ""
			}
			return " MATERIALIZED"
		},
		// limited is how many tags the export of a row of exports was limited to.
		"limited": func(alias string) string {
			list := alias + ".tag_filter"
			if d.Dialect == BigQuery {
				return "COALESCE(ARRAY_LENGTH(" + list + "), 0)"
			}
			return "COALESCE(len(" + list + "), 0)"
		},
		"type":   func(name string) string { return d.typeName(Column{Type: typeNamed(name)}) },
		"figure": figure,
		"mean":   mean,
		// iou is the intersection over union of the boxes of two table aliases; null if they
		// do not meet (share no billionth of their union), or are too small to have a union.
		"iou": intersectionOverUnion,
	}
}

// figure returns precision, recall or f1 of the counts whose names have a prefix. It is
// null if there is nothing to judge it by.
func figure(name, prefix string) string {
	formula := map[string]string{
		"precision": "{}true_positives / NULLIF({}true_positives + {}false_positives, 0)",
		"recall":    "{}true_positives / NULLIF({}true_positives + {}false_negatives, 0)",
		"f1":        "2 * {}true_positives / NULLIF(2 * {}true_positives + {}false_positives + {}false_negatives, 0)",
	}[name]
	if formula == "" {
		panic("schema: unknown figure " + name)
	}
	return strings.ReplaceAll(formula, "{}", prefix)
}

// mean returns the mean of the tags' figure, as scikit-learn has it: of the tags with a
// label or a prediction.
func mean(name, prefix string) string {
	return strings.NewReplacer("{name}", name, "{}", prefix).Replace("AVG(CASE WHEN {}f1 IS NOT NULL THEN COALESCE({}{name}, 0) END)")
}

// unknown returns an expression of text of whose value a database knows nothing before it
// evaluates the text, and which is not that of another name. BigQuery keeps no result of
// a query with RAND.
func (d dialect) unknown(text, name string) string {
	if d.Dialect == BigQuery {
		return text + " || " + d.quote(name)
	}
	return text + " || random()"
}

func intersectionOverUnion(a, b string) string {
	shared := func(from, extent string) string {
		return strings.NewReplacer("a.", a+".", "b.", b+".", "from", "box_"+from, "extent", "box_"+extent).
			Replace("(LEAST(a.from + a.extent, b.from + b.extent) - GREATEST(a.from, b.from))")
	}
	width, height := shared("left", "width"), shared("top", "height")
	both, areas := width+" * "+height, fmt.Sprintf("%[1]s.box_width * %[1]s.box_height + %[2]s.box_width * %[2]s.box_height", a, b)
	// NULLIF keeps a database that divides before it looks at the condition from dividing by zero.
	return fmt.Sprintf("CASE WHEN %[1]s > 0 AND %[2]s > 0 AND %[4]s > %[3]s AND %[3]s > 1e-9 * (%[4]s - %[3]s) THEN %[3]s / NULLIF(%[4]s - %[3]s, 0) END", width, height, both, areas)
}

// ref returns the name of a table, view or function. In BigQuery it includes the
// dataset, because stored views and functions have no default one.
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

// quoteName quotes a name, which may be a reserved word, or a path in BigQuery.
func (d dialect) quoteName(s string) string {
	if d.Dialect == BigQuery {
		return "`" + strings.ReplaceAll(s, ".", "`.`") + "`"
	}
	return `"` + s + `"`
}

// quote makes a string literal. BigQuery's has escape sequences.
func (d dialect) quote(s string) string {
	if d.Dialect == BigQuery {
		return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

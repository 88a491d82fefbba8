package query

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

var word = regexp.MustCompile(`[a-z_][a-z0-9_]*`)

// indirect are words of SQL that can refer to a table without its name.
var indirect = []string{"query", "query_table", "json_execute_serialized_sql", "attach", "glob", "parquet", "parquet_scan", "read_parquet", "duckdb_functions"}

// escapes matches a text or name that may spell a table's name in another way.
var escapes = regexp.MustCompile(`(?i)\b(e|u&)['"][^'"]*\\`)

// namesIn reports which tables, views and functions the SQL may need: those whose name
// is a word in it, with all that they read, or every one if the SQL may refer to them
// indirectly. Words in comments and strings count too, which only costs time.
func namesIn(text string) func(name string) bool {
	if escapes.MatchString(text) {
		return All
	}
	words := word.FindAllString(strings.ToLower(text), -1)
	if slices.ContainsFunc(words, func(w string) bool { return slices.Contains(indirect, w) }) {
		return All
	}
	return schema.Behind(words...)
}

// Listing describes each view and function in a line.
func Listing() string {
	var b strings.Builder
	for _, v := range schema.Views() {
		fmt.Fprintf(&b, "  %s: %s\n", signature(v), v.Doc)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func signature(v schema.View) string {
	if len(v.Arguments) == 0 {
		return v.Name
	}
	var arguments []string
	for _, a := range v.Arguments {
		if a.Default != "" {
			a.Name += " := " + a.Default
		}
		arguments = append(arguments, a.Name)
	}
	return v.Name + "(" + strings.Join(arguments, ", ") + ")"
}

var unknownName = regexp.MustCompile(`(?i)\b(Table|Table Function|Scalar Function) with name "?([^\s"]+)"? does not exist`)

// hintFor suggests a name for one that DuckDB does not know. It is empty if the error
// is about something else, or DuckDB suggests the same.
func hintFor(ctx context.Context, conn *sql.Conn, message string) string {
	match := unknownName.FindStringSubmatch(message)
	if match == nil {
		return ""
	}
	called, name := !strings.EqualFold(match[1], "Table"), strings.ToLower(match[2])
	v, found := nearest(ctx, conn, name)
	isFunction := len(v.Arguments) > 0
	switch {
	case !found:
		return "cvreport query --help lists the views and functions, and SHOW TABLES the tables"
	case !isFunction && strings.Contains(message, `Did you mean "`+v.Name+`"`):
		return ""
	case isFunction && !(called && v.Name == name):
		return fmt.Sprintf("%s is a function: SELECT * FROM %s", v.Name, signature(v))
	case called && !isFunction:
		return fmt.Sprintf("%s takes no arguments: SELECT * FROM %[1]s", v.Name)
	}
	return fmt.Sprintf("there is %s: SELECT * FROM %[1]s", v.Name)
}

// nearest returns the table, view or function whose name is most like the given one,
// if one is.
func nearest(ctx context.Context, conn *sql.Conn, name string) (best schema.View, found bool) {
	all := map[string]schema.View{}
	for _, t := range schema.Tables() {
		all[t.Name] = schema.View{Name: t.Name}
	}
	for _, v := range schema.Views() {
		all[v.Name] = v
	}
	const maxDistance = 3
	const query = `SELECT known FROM (SELECT unnest($1::VARCHAR[]) AS known, $2::VARCHAR AS name)
WHERE levenshtein(known, name) <= $3 ORDER BY levenshtein(known, name), known LIMIT 1`
	var known string
	err := conn.QueryRowContext(ctx, query, slices.Collect(maps.Keys(all)), name, min(maxDistance, len(name)/2)).Scan(&known)
	return all[known], err == nil
}

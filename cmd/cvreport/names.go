package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

var word = regexp.MustCompile(`[a-z_][a-z0-9_]*`)

// indirect are the words of SQL that may name a table in another way than by
// writing it down.
var indirect = []string{"query", "query_table", "json_execute_serialized_sql", "attach", "glob", "parquet", "parquet_scan", "read_parquet", "duckdb_functions"}

// namesIn reports which tables, views and functions the SQL may need: those whose
// name is a word in it, and what they read; all if it may name one in another way.
// Comments and quoted text count too, which does no harm.
func namesIn(text string) func(name string) bool {
	words := word.FindAllString(strings.ToLower(text), -1)
	for _, w := range words {
		if slices.Contains(indirect, w) {
			return anyName
		}
	}
	return schema.Behind(words...)
}

func anyName(string) bool { return true }

// listing says of each view and function, in a line, how it is called and what it is.
func listing() string {
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

// hintOf says what may be meant when DuckDB does not know a name, empty if that is not
// what is wrong.
func hintOf(message string) string {
	found := unknownName.FindStringSubmatch(message)
	if found == nil {
		return ""
	}
	name := strings.ToLower(found[2])
	called := !strings.EqualFold(found[1], "Table")
	all := map[string]schema.View{}
	for _, t := range schema.Tables() {
		all[t.Name] = schema.View{Name: t.Name}
	}
	for _, v := range schema.Views() {
		all[v.Name] = v
	}
	v, known := all[name]
	if !known {
		const far = 3 // letters
		best := far + 1
		for _, candidate := range all {
			if d := distance(name, candidate.Name); d < best || d == best && candidate.Name < v.Name {
				best, v = d, candidate
			}
		}
		if best > min(far, len(name)/2) {
			return "cvreport query --help lists the views and functions, and SHOW TABLES the tables"
		}
	}
	isFunction := len(v.Arguments) > 0
	switch {
	case !isFunction && strings.Contains(message, `Did you mean "`+v.Name+`"`):
		return ""
	case isFunction && (!called || !known):
		return fmt.Sprintf("%s is a function: SELECT * FROM %s", v.Name, signature(v))
	case called && !isFunction:
		return fmt.Sprintf("%s takes no arguments: SELECT * FROM %[1]s", v.Name)
	}
	return fmt.Sprintf("there is %s: SELECT * FROM %[1]s", v.Name)
}

// distance is how many letters have to be put in, left out or changed to make
// b of a (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

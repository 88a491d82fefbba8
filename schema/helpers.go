package schema

import (
	"regexp"
	"slices"
	"strings"
)

// DuckDB forgets NOT MATERIALIZED when it keeps a function in a database file. Asked for
// one iteration after the file is opened again, it would compute for all iterations what
// is used twice. In a function of its own it cannot.

// expression is a common table expression of a query.
type expression struct {
	name, body string
	inline     bool // it is NOT MATERIALIZED
}

var (
	expressionStart = regexp.MustCompile(`^(?:WITH )?(\w+) AS((?: NOT)? MATERIALIZED)? \($`)
	fromOrJoin      = regexp.MustCompile(`\b(FROM|JOIN) (\w+)\b([^(]|$)`)
)

// cutExpressions splits a query of the views' form into its common table expressions and
// the rest: each begins with a line that names it, and ends with a line that begins with
// a parenthesis.
func cutExpressions(query string) (all []expression, rest string) {
	var other, body []string
	var in *expression
	for line := range strings.Lines(query) {
		switch start := expressionStart.FindStringSubmatch(strings.TrimSpace(line)); {
		case in == nil && start != nil:
			in = &expression{name: start[1], inline: start[2] == " NOT MATERIALIZED"}
		case in == nil:
			other = append(other, line)
		case strings.HasPrefix(line, ")"):
			in.body = strings.Join(body, "")
			all, in, body = append(all, *in), nil, nil
		default:
			body = append(body, line)
		}
	}
	return all, strings.Join(other, "")
}

// uses returns the names that a query reads.
func uses(query string) (names []string) {
	for _, match := range fromOrJoin.FindAllStringSubmatch(query, -1) {
		names = append(names, match[2])
	}
	return names
}

// helpers returns the statements for the functions that a function of DuckDB uses in
// place of its common table expressions, and its query with them. These are the ones that
// are used more than once. The others stay.
func (v View) helpers(query string) (statements []string, _ string) {
	all, rest := cutExpressions(query)
	count, once := map[string]int{}, map[string]bool{}
	for _, e := range all {
		read := uses(e.body)
		once[e.name] = !e.inline || slices.ContainsFunc(read, func(name string) bool { return once[name] })
		for _, name := range read {
			count[name]++
		}
	}
	for _, name := range uses(rest) {
		count[name]++
	}
	isHelper := func(e expression) bool { return count[e.name] > 1 && !once[e.name] }
	// What is used twice and reads what is to be computed once can only be written twice.
	for n, e := range all {
		if count[e.name] > 1 && once[e.name] && e.inline {
			write := func(text string) string {
				text = regexp.MustCompile(`\b(FROM|JOIN) `+e.name+` AS\b`).ReplaceAllString(text, "$1 (\n"+e.body+") AS")
				return regexp.MustCompile(`\b(FROM|JOIN) `+e.name+`\b`).ReplaceAllString(text, "$1 (\n"+e.body+") AS "+e.name)
			}
			for later := n + 1; later < len(all); later++ {
				all[later].body = write(all[later].body)
			}
			rest = write(rest)
		}
	}
	call := func(text string) string {
		for _, e := range all {
			if isHelper(e) {
				text = regexp.MustCompile(`\b(FROM|JOIN) `+e.name+`\b`).ReplaceAllString(text, "$1 "+v.helperCall(e.name))
			}
		}
		return text
	}
	// with puts those in front of a query that it needs.
	with := func(query string) string {
		var needed []string
		read := uses(query)
		for _, e := range slices.Backward(all) { // each comes after those that it reads
			if !slices.Contains(read, e.name) || isHelper(e) {
				continue
			}
			read = append(read, uses(e.body)...)
			how := " NOT MATERIALIZED"
			if !e.inline {
				how = " MATERIALIZED"
			}
			needed = append([]string{e.name + " AS" + how + " (\n" + e.body + ")"}, needed...)
		}
		if needed == nil {
			return query
		}
		return "WITH " + strings.Join(needed, ",\n") + "\n" + query
	}
	for _, e := range all {
		if isHelper(e) {
			statements = append(statements, "CREATE OR REPLACE MACRO "+v.helperCall(e.name)+" AS TABLE\n"+strings.TrimSpace(call(with(e.body))))
		}
	}
	return statements, call(with(rest))
}

// helperCall is a helper's name with its arguments, which are those of the function.
func (v View) helperCall(name string) string {
	_, arguments, _ := strings.Cut(v.Signature(), "(")
	return v.Name + "_" + name + "(" + arguments
}

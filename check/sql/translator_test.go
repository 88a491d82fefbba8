package sql

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"

	"github.com/cvexport/cvexport/internal/npm"
)

// Transpile translates analysed statements for DuckDB, so that what is written for
// BigQuery, which runs nowhere else, can be run on small tables and its rows looked at.
// It returns a statement for each; "" for those that DuckDB has no use for or that the
// caller has to do its own way: the tables, which have to be there, and the options.
//
// The translator is a program on node, and no proof of what BigQuery does. It keeps the
// meaning of joins, windows, QUALIFY, aggregates, UNNEST, arrays of structs, and of NULL
// in functions and in ORDER BY. What it does not know DuckDB refuses, such as UNNEST WITH
// OFFSET, LIMIT in ARRAY_AGG, or GENERATE_ARRAY of fractions; what it is known to get
// wrong is refused here. Where BigQuery fails, as it does at a division by zero or a
// subquery of several rows, DuckDB may not; and SUBSTR from 0 begins elsewhere.
func Transpile(statements []Statement) ([]string, error) {
	var queries []string
	for _, s := range statements {
		if s.Query == "" {
			continue
		}
		if wrong := mistranslated.FindString(s.Query); wrong != "" {
			return nil, fmt.Errorf("translating %s for DuckDB: the translator gets %q wrong: write it another way", firstWords(s.SQL), wrong)
		}
		queries = append(queries, s.Query)
	}
	translated, err := translate(queries)
	if err != nil {
		return nil, fmt.Errorf("translating queries for DuckDB: %w", err)
	}
	out := make([]string, len(statements))
	for i, s := range statements {
		query := ""
		if s.Query != "" {
			query, translated = translated[0], translated[1:]
		}
		name := quoted(strings.Split(s.Name, ".")...)
		switch s.Kind {
		case "SELECT":
			out[i] = query
		case "CREATE SCHEMA":
			out[i] = "CREATE SCHEMA IF NOT EXISTS " + name
		case "CREATE VIEW", "CREATE MATERIALIZED VIEW":
			out[i] = fmt.Sprintf("CREATE OR REPLACE VIEW %s (%s) AS %s", name, names(s.Columns), query)
		case "CREATE TABLE FUNCTION":
			out[i] = fmt.Sprintf("CREATE OR REPLACE MACRO %s(%s) AS TABLE %s", name, names(s.Arguments), query)
		case "CREATE FUNCTION":
			out[i] = fmt.Sprintf("CREATE OR REPLACE MACRO %s(%s) AS (%s)", name, names(s.Arguments), query)
		}
	}
	return out, nil
}

// mistranslated is what would return something else in DuckDB: a part of the text is
// matched as if it were the whole, one match of several is replaced, the format is taken
// for another language's, NULL is skipped, and the index before a field counts from 1.
var mistranslated = regexp.MustCompile(`(?i)\b(?:REGEXP_\w+|FORMAT|CONCAT)\s*\(|\]\s*\.`)

// quoted is a path as DuckDB takes it whatever its parts are.
func quoted(path ...string) string {
	for i, part := range path {
		path[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
	}
	return strings.Join(path, ".")
}

func names(columns []Column) string {
	var list []string
	for _, c := range columns {
		list = append(list, quoted(c.Name))
	}
	return strings.Join(list, ", ")
}

// translate runs the translator, which tests of this package find in their folder.
func translate(queries []string) ([]string, error) {
	if len(queries) == 0 {
		return nil, nil
	}
	if _, err := npm.Install(); err != nil {
		return nil, err
	}
	input, err := json.Marshal(queries)
	if err != nil {
		return nil, err
	}
	node := exec.Command("node", "transpile.mjs")
	node.Stdin = bytes.NewReader(input)
	var said bytes.Buffer
	node.Stderr = &said
	output, err := node.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, said.String())
	}
	var translated []string
	if err := json.Unmarshal(output, &translated); err != nil {
		return nil, err
	}
	if len(translated) != len(queries) {
		return nil, fmt.Errorf("%d queries are translated into %d", len(queries), len(translated))
	}
	return translated, nil
}

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

// Transpile translates analysed statements to DuckDB, so that SQL for BigQuery can be run
// on small tables. It returns one statement for each, or "" for tables, which the caller
// creates, and for options.
//
// The translator is a program for Node.js and does not prove what BigQuery does. It keeps
// the meaning of joins, windows, QUALIFY, aggregates, UNNEST, arrays of structs, and of NULL
// in functions and in ORDER BY. DuckDB refuses what it does not translate: UNNEST WITH
// OFFSET, LIMIT in ARRAY_AGG, GENERATE_ARRAY of fractions. Transpile refuses what it is
// known to translate wrongly. BigQuery fails for a division by zero and for a scalar
// subquery with several rows, where DuckDB may not, and SUBSTR from 0 differs.
func Transpile(statements []Statement) ([]string, error) {
	var queries []string
	for _, s := range statements {
		if s.Query == "" {
			continue
		}
		if wrong := mistranslated.FindString(s.Query); wrong != "" {
			return nil, fmt.Errorf("translating %s to DuckDB: the translator gets %q wrong: write it another way", firstWords(s.SQL), wrong)
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

// mistranslated matches what would return something else in DuckDB: regular expressions
// have to match the whole text or are replaced only once, formats are of another language,
// CONCAT skips NULL, and an array index followed by a field counts from 1.
var mistranslated = regexp.MustCompile(`(?i)\b(?:REGEXP_\w+|FORMAT|CONCAT)\s*\(|\]\s*\.`)

// quoted quotes a path for DuckDB.
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

// translate runs the translator, transpile.mjs in the folder of the tests.
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
	var stderr bytes.Buffer
	node.Stderr = &stderr
	output, err := node.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, stderr.String())
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

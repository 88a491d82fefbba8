package sql

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
)

// The tables of the queries: for the analyzer, and with rows for DuckDB.
const (
	fruits = `CREATE SCHEMA cv;
CREATE TABLE cv.predictions (image_id STRING, tag STRING, probability FLOAT64);
CREATE TABLE cv.tags (image_id STRING, tag STRING);
CREATE TABLE cv.exports (export_id STRING, objects ARRAY<STRUCT<key STRING, size INT64>>);
`
	fruitsInDuckDB = `CREATE SCHEMA cv;
CREATE TABLE cv.predictions (image_id VARCHAR, tag VARCHAR, probability DOUBLE);
CREATE TABLE cv.tags (image_id VARCHAR, tag VARCHAR);
CREATE TABLE cv.exports (export_id VARCHAR, objects STRUCT(key VARCHAR, size BIGINT)[]);
INSERT INTO cv.predictions VALUES ('1', 'apple', 0.9), ('1', 'pear', 0.1), ('2', 'apple', 0.4), ('2', 'pear', 0.6), ('3', 'apple', NULL), ('4', 'pear', 0);
INSERT INTO cv.tags VALUES ('1', 'apple'), ('2', 'apple'), ('3', 'pear'), ('5', 'fig');
INSERT INTO cv.exports VALUES ('e', [{'key': 'a', 'size': 1}, {'key': 'b', 'size': 20}]), ('f', [])
`
)

// TestTranspile checks the rows that translated queries return in DuckDB.
func TestTranspile(t *testing.T) {
	tests := []struct {
		name     string
		bigquery string   // statements, the last one a query
		want     []string // its rows
	}{
		{"window with a frame", `SELECT image_id, SUM(probability) OVER (PARTITION BY tag ORDER BY probability DESC ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s
			FROM cv.predictions WHERE tag = 'apple' ORDER BY s DESC, image_id`,
			[]string{"2 1.3", "1 0.9", "3 0.4"}},
		{"NULL comes first", "SELECT image_id, ROW_NUMBER() OVER (ORDER BY probability) AS n FROM cv.predictions WHERE tag = 'apple' ORDER BY probability",
			[]string{"3 1", "2 2", "1 3"}},
		{"QUALIFY", "SELECT image_id, tag FROM cv.predictions QUALIFY ROW_NUMBER() OVER (PARTITION BY image_id ORDER BY probability DESC, tag) = 1 ORDER BY image_id",
			[]string{"1 apple", "2 pear", "3 apple", "4 pear"}},
		{"FULL OUTER JOIN", `WITH best AS (SELECT image_id, tag FROM cv.predictions WHERE probability > 0.5)
			SELECT image_id, best.tag, tags.tag AS label FROM best FULL OUTER JOIN cv.tags AS tags USING (image_id) ORDER BY image_id`,
			[]string{"1 apple apple", "2 pear apple", "3 <nil> pear", "5 <nil> fig"}},
		{"array of structs", `SELECT image_id, best[OFFSET(0)] AS first, best[SAFE_OFFSET(2)] AS third, (SELECT MAX(b.p) FROM UNNEST(best) AS b) AS p FROM (
				SELECT image_id, ARRAY_AGG(STRUCT(tag AS t, probability AS p) ORDER BY probability DESC) AS best
				FROM cv.predictions WHERE image_id IN ('1', '2') GROUP BY image_id) ORDER BY image_id`,
			[]string{"1 map[p:0.9 t:apple] <nil> 0.9", "2 map[p:0.6 t:pear] <nil> 0.6"}},
		{"UNNEST", "SELECT export_id, o.key, o.size FROM cv.exports AS e LEFT JOIN UNNEST(e.objects) AS o ON TRUE ORDER BY export_id, o.size",
			[]string{"e a 1", "e b 20", "f <nil> <nil>"}},
		{"comma and UNNEST", "SELECT SUM(o.size) AS size FROM cv.exports AS e, UNNEST(e.objects) AS o WHERE o.key IN ('a', 'b')", []string{"21"}},
		{"subquery of an array", "SELECT export_id, (SELECT SUM(o.size) FROM UNNEST(e.objects) AS o WHERE o.size > 1) AS n FROM cv.exports AS e ORDER BY export_id",
			[]string{"e 20", "f <nil>"}},
		{"NULL in functions", "SELECT SAFE_DIVIDE(1, 0) AS a, SAFE_DIVIDE(1, 4) AS b, LEAST(1, NULL) AS c, GREATEST(1, 2.5) AS d, IF(NULL, 1, 2) AS e",
			[]string{"<nil> 0.25 <nil> 2.5 2"}},
		{"division", "SELECT 1 / 4 AS a, DIV(7, 2) AS b, MOD(7, 4) AS c, CAST(2.4 AS INT64) AS d", []string{"0.25 3 3 2"}},
		{"aggregates", `SELECT tag, COUNT(*) AS n, COUNTIF(probability >= 0.5) AS c, ANY_VALUE(image_id HAVING MAX probability) AS best,
			LOGICAL_OR(probability > 0.8) AS l, STRING_AGG(image_id, '+' ORDER BY image_id DESC) AS ids FROM cv.predictions GROUP BY tag ORDER BY tag`,
			[]string{"apple 3 1 1 true 3+2+1", "pear 3 1 2 false 4+2+1"}},
		{"correlated subquery", "SELECT tag, (SELECT COUNT(*) FROM cv.predictions AS p WHERE p.tag = t.tag) AS n FROM cv.tags AS t ORDER BY t.image_id",
			[]string{"apple 3", "apple 3", "pear 3", "fig 0"}},
		{"recursive", "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT i FROM n ORDER BY i DESC", []string{"3", "2", "1"}},
		{"thresholds", "SELECT COUNT(*) AS n, MAX(t / 20) AS t FROM UNNEST(GENERATE_ARRAY(1, 19, 2)) AS t", []string{"10 0.95"}},
		{"a view, a function and a table function", `
			CREATE VIEW cv.known (id OPTIONS (description = 'the image'), tag, probability) OPTIONS (description = 'v') AS
			SELECT p.image_id, tag, p.probability FROM cv.predictions AS p JOIN cv.tags USING (tag) WHERE tags.image_id <> '1';
			CREATE FUNCTION cv.points(p FLOAT64) RETURNS FLOAT64 AS (100 * IFNULL(p, -1));
			CREATE OR REPLACE TABLE FUNCTION cv.above(threshold FLOAT64, name STRING) OPTIONS (description = 'f') AS
			SELECT id, cv.points(probability) AS points, probability >= threshold AS above FROM cv.known WHERE tag = name;
			ALTER VIEW cv.known SET OPTIONS (description = 'w');
			SELECT * FROM cv.above(0.5, 'apple') ORDER BY id`,
			[]string{"1 90 true", "2 40 false", "3 -100 <nil>"}},
	}
	// They are translated together, as starting the translator takes longest.
	var analysed []Statement
	var first []int
	for _, test := range tests {
		statements, err := Analyze(fruits + test.bigquery)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		first = append(first, len(analysed))
		analysed = append(analysed, statements...)
	}
	translated, err := Transpile(analysed)
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			statements := translated[first[i]:]
			if i+1 < len(tests) {
				statements = translated[first[i]:first[i+1]]
			}
			db, err := sql.Open("duckdb", "")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(fruitsInDuckDB); err != nil {
				t.Fatal(err)
			}
			last := len(statements) - 1
			for _, statement := range statements[:last] {
				if statement == "" {
					continue
				}
				if _, err := db.Exec(statement); err != nil {
					t.Fatalf("%v\n%s", err, statement)
				}
			}
			got, err := rows(db, statements[last])
			if err != nil {
				t.Fatalf("%v\n%s", err, statements[last])
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q\n%s", got, test.want, statements[last])
			}
		})
	}
}

// rows returns the rows of a query, one line each.
func rows(db *sql.DB, query string) ([]string, error) {
	result, err := db.Query(query)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		return nil, err
	}
	var lines []string
	for result.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, err
		}
		lines = append(lines, strings.TrimSuffix(fmt.Sprintln(values...), "\n"))
	}
	return lines, result.Err()
}

// TestTranspileRefused checks that queries that would be translated wrongly are refused.
func TestTranspileRefused(t *testing.T) {
	for _, query := range []string{
		"SELECT FROM WHERE",
		"SELECT REGEXP_CONTAINS('abc', 'b') AS a",
		"SELECT format('%d', 1) AS a",
		"SELECT CONCAT('a', NULL) AS a",
		"SELECT e.objects[0].key AS k FROM cv.exports AS e",
	} {
		_, err := Transpile([]Statement{{Kind: "SELECT", Query: query, SQL: query}})
		if err == nil || !strings.Contains(err.Error(), query) {
			t.Errorf("%v, want what could not be translated: %s", err, query)
		}
	}
}

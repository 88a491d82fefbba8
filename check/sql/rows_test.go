package sql

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// someRows fills the tables with three iterations (0 multiclass, 1 multilabel, 2 a
// detector) of 60 images and 4 tags. Everything is on a coarse grid, so that equal
// probabilities, equal overlaps and boxes that touch are frequent.
const someRows = `
CREATE MACRO pick(what, a, b, c, n) AS CAST(hash(concat_ws('/', what, a, b, c)) % n AS INTEGER);
CREATE TABLE image AS SELECT it, i FROM range(3) a(it), range(60) b(i);
INSERT INTO data.exports BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || it AS export_id, ['classification', NULL, 'detection'][it + 1] AS model_kind,
	0.5 AS probability_threshold, 0.3 AS overlap_threshold, 0.6 AS precision, 0.7 AS recall, 0.8 AS average_precision, 60 AS images,
	0 AS predictions, 0 AS tags, 0 AS regions, 4 AS tag_performance FROM range(3) a(it);
INSERT INTO data.images BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || it AS export_id, 'm' || i AS image_id, i AS image_index, 'u' || i AS image_uri FROM image;
INSERT INTO data.tag_performance BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || it AS export_id, 't' || t AS tag_id, 'tag ' || t AS tag_name, 0.5 AS precision, 0.25 AS recall
	FROM range(3) a(it), range(5) b(t);
INSERT INTO data.predictions BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || (it + if(i = 7, 1, 0)) AS export_id, 'm' || i AS image_id, n AS prediction_index,
	't' || if(it = 2, pick('t', it, i, n, 3), n) AS tag_id, 'tag ' || if(it = 2, pick('t', it, i, n, 3), n) AS tag_name,
	pick('p', it, i, n, 11) / 10 AS probability,
	if(it = 2, pick('l', it, i, n, 3) / 8, NULL) AS box_left, if(it = 2, pick('u', it, i, n, 3) / 8, NULL) AS box_top,
	if(it = 2, (1 + pick('w', it, i, n, 3)) / 8, NULL) AS box_width, if(it = 2, (1 + pick('h', it, i, n, 3)) / 8, NULL) AS box_height
	FROM image, range(4) c(n);
INSERT INTO data.tags BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || it AS export_id, 'm' || i AS image_id, n AS tag_index, 't' || pick('g', it, i, n, 4) AS tag_id
	FROM image, range(2) c(n) WHERE n = 0 OR it > 0 AND i % 3 > 0;
INSERT INTO data.regions BY NAME SELECT
	'p' AS project_id, 'i' || it AS iteration_id, 'e' || it AS export_id, 'm' || i AS image_id, n AS region_index, 'r' || i || '/' || n AS region_id,
	't' || pick('r', it, i, n, 4) AS tag_id, pick('L', it, i, n, 3) / 8 AS box_left, pick('U', it, i, n, 3) / 8 AS box_top,
	(1 + pick('W', it, i, n, 3)) / 8 AS box_width, (1 + pick('H', it, i, n, 3)) / 8 AS box_height
	FROM image, range(3) c(n) WHERE it = 2 AND n < i % 4`

// TestRows checks that the views of the BigQuery script, translated, return the same rows
// as those of the DuckDB script.
func TestRows(t *testing.T) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%v in: %s", err, statement)
		}
	}

	duckDB := schema.Script{Dialect: schema.DuckDB}
	for _, table := range schema.Tables() {
		duckDB.Empty = append(duckDB.Empty, table.Name)
	}
	for _, statement := range duckDB.Statements() {
		run(statement)
	}
	run("CREATE SCHEMA data")
	run("CREATE SCHEMA vision")
	for _, table := range schema.Tables() {
		run(fmt.Sprintf("CREATE TABLE data.%s AS FROM main.%[1]s", table.Name))
		run(fmt.Sprintf("CREATE OR REPLACE VIEW main.%s AS FROM data.%[1]s", table.Name))
		run(fmt.Sprintf("CREATE VIEW vision.%s AS FROM data.%[1]s", table.Name))
	}
	run(someRows)

	statements, err := Analyze(schema.Script{Dialect: schema.BigQuery, Warehouse: "gs://bucket", Dataset: "vision"}.String())
	if err != nil {
		t.Fatal(err)
	}
	translated, err := Transpile(statements)
	if err != nil {
		t.Fatal(err)
	}
	for i, statement := range translated {
		if strings.HasPrefix(statements[i].Kind, "CREATE VIEW") || strings.HasPrefix(statements[i].Kind, "CREATE TABLE FUNCTION") {
			run(statement)
		}
	}

	for _, v := range schema.Views() {
		calls := []string{""}
		switch {
		case v.Name == "iteration_changes" || v.Name == "comparison":
			calls = []string{"('p', 'i0', 'i1', 0.5, 0.3)", "('p', 'i2', 'i2', 0.5, 0.5)", "('p', 'i1', 'i0', 0.5, 0.5)"}
		case len(v.Arguments) == 2:
			calls = []string{"(0.5, 0.3)", "(0.0, 0.0)", "(0.8, 0.5)", "(1.0, 1.0)"}
		case len(v.Arguments) == 1:
			calls = []string{"(0.3)", "(0.0)", "(1.0)"}
		}
		total := 0
		for _, call := range calls {
			var here, there, different int
			// The order of a sum of doubles can change its last digit, so they are rounded.
			const query = `WITH a AS (SELECT %[2]s FROM main.%[1]s), b AS (SELECT %[2]s FROM vision.%[1]s)
				SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b),
				(SELECT count(*) FROM (FROM a EXCEPT ALL FROM b)) + (SELECT count(*) FROM (FROM b EXCEPT ALL FROM a))`
			if err := db.QueryRowContext(t.Context(), fmt.Sprintf(query, v.Name+call, rounded(v))).Scan(&here, &there, &different); err != nil {
				t.Fatalf("%s%s: %v", v.Name, call, err)
			}
			if here != there || different > 0 {
				t.Errorf("%s%s: %d rows from the DuckDB script, %d from the BigQuery script, %d differ", v.Name, call, here, there, different)
			}
			total += here
		}
		if total == 0 {
			t.Errorf("%s is empty: nothing was compared", v.Name)
		}
		for _, call := range nonsense(v) {
			for _, where := range []string{"main.", "vision."} {
				_, err := db.ExecContext(t.Context(), "SELECT count(*) FROM "+where+call)
				if err == nil || !strings.Contains(err.Error(), "must be a number from 0 to 1") && !strings.Contains(err.Error(), "the warehouse has no export of iteration") {
					t.Errorf("%s%s: %v, want an error that says what is wrong", where, call, err)
				}
			}
		}
	}
}

// nonsense returns calls of a function, each with one argument that makes no sense.
func nonsense(v schema.View) (calls []string) {
	for wrong, a := range v.Arguments {
		values := []string{"-0.1", "1.1", "NULL"}
		if a.Type == schema.String {
			values = []string{"'none'", "NULL"}
		}
		for _, value := range values {
			var given []string
			for i, other := range v.Arguments {
				switch {
				case i == wrong:
					given = append(given, value)
				case other.Type == schema.Double:
					given = append(given, "0.5")
				case i == 0:
					given = append(given, "'p'")
				default:
					given = append(given, "'i0'")
				}
			}
			calls = append(calls, v.Name+"("+strings.Join(given, ", ")+")")
		}
	}
	return calls
}

func rounded(v schema.View) string {
	var all []string
	for _, c := range v.Columns {
		name := c.Name
		if c.Type == schema.Double {
			name = "round(" + name + ", 12)"
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

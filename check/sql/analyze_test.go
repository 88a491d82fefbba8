package sql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// warehouse is a small script that most tests begin with.
const warehouse = `CREATE SCHEMA IF NOT EXISTS cv OPTIONS (location = 'EU');
CREATE TABLE cv.images (image_id STRING NOT NULL, width INT64, created TIMESTAMP);
CREATE TABLE cv.predictions (image_id STRING, tag_id STRING, probability FLOAT64, objects ARRAY<STRUCT<key STRING, size INT64>>);
CREATE TABLE FUNCTION cv.above(threshold FLOAT64, tag STRING) AS
SELECT p.image_id, p.probability AS score FROM cv.predictions AS p WHERE p.probability >= threshold AND p.tag_id = tag;
`

var warehouseLines = strings.Count(warehouse, "\n")

// short writes a statement in one line: KIND name(arguments): columns.
func short(s Statement) string {
	list := func(columns []Column) string {
		var parts []string
		for _, c := range columns {
			parts = append(parts, c.Name+" "+c.Type)
		}
		return strings.Join(parts, ", ")
	}
	text := s.Kind
	if s.Name != "" {
		text += " " + s.Name
	}
	if s.Arguments != nil {
		text += "(" + list(s.Arguments) + ")"
	}
	if s.Columns != nil {
		text += ": " + list(s.Columns)
	}
	return text
}

func TestAccepted(t *testing.T) {
	for _, test := range []struct {
		name   string
		script string // after warehouse
		want   []string
	}{
		{"nothing", " -- only a comment\n", nil},
		{"external table", `
			CREATE OR REPLACE EXTERNAL TABLE cv.regions (
				image_id STRING NOT NULL OPTIONS (description = 'the image'),
				box_left FLOAT64,
				created TIMESTAMP,
				tag_filter ARRAY<STRING>,
				objects ARRAY<STRUCT<key STRING, ` + "`rows`" + ` INT64>>
			)
			WITH PARTITION COLUMNS (project_id STRING, iteration_id STRING)
			OPTIONS (format = 'PARQUET', uris = ['gs://b/regions/*'], hive_partition_uri_prefix = 'gs://b/regions',
				require_hive_partition_filter = FALSE, description = 'one row per "region"; and more');
			SELECT objects[0].rows, PROJECT_ID FROM cv.regions`,
			[]string{
				"CREATE EXTERNAL TABLE cv.regions: image_id STRING, box_left FLOAT64, created TIMESTAMP, tag_filter ARRAY<STRING>, " +
					"objects ARRAY<STRUCT<key STRING, `rows` INT64>>, project_id STRING, iteration_id STRING",
				"SELECT: rows INT64, PROJECT_ID STRING",
			}},
		{"external table by a connection", `
			CREATE EXTERNAL TABLE cv.e (a STRING) WITH CONNECTION ` + "`aws-us-east-1.c`" + ` OPTIONS (format = 'PARQUET', uris = ['s3://b/*'])`,
			[]string{"CREATE EXTERNAL TABLE cv.e: a STRING"}},
		{"view", `
			CREATE VIEW cv.best OPTIONS (description = 'v') AS
			SELECT image_id, probability AS p FROM cv.predictions
			QUALIFY ROW_NUMBER() OVER (PARTITION BY image_id ORDER BY probability DESC) = 1;
			CREATE VIEW cv.wide (id OPTIONS (description = 'i'), p) AS SELECT image_id, p FROM cv.best JOIN cv.images USING (image_id);
			SELECT * FROM cv.wide`,
			[]string{
				"CREATE VIEW cv.best: image_id STRING, p FLOAT64",
				"CREATE VIEW cv.wide: id STRING, p FLOAT64",
				"SELECT: id STRING, p FLOAT64",
			}},
		{"materialized view", `CREATE MATERIALIZED VIEW cv.m OPTIONS (enable_refresh = TRUE) AS SELECT tag_id, COUNT(*) AS n FROM cv.predictions GROUP BY tag_id`,
			[]string{"CREATE MATERIALIZED VIEW cv.m: tag_id STRING, n INT64"}},
		{"table from a query", `
			CREATE TABLE cv.t PARTITION BY DATE(created) CLUSTER BY image_id OPTIONS (description = 't') AS SELECT created, image_id FROM cv.images;
			CREATE TABLE cv.like_t LIKE cv.t;
			SELECT * FROM cv.like_t`,
			[]string{
				"CREATE TABLE AS SELECT cv.t: created TIMESTAMP, image_id STRING",
				"CREATE TABLE cv.like_t: created TIMESTAMP, image_id STRING",
				"SELECT: created TIMESTAMP, image_id STRING",
			}},
		{"load", `
			LOAD DATA OVERWRITE cv.loaded (image_id STRING OPTIONS (description = 'i'), n INT64) CLUSTER BY image_id OPTIONS (description = 'l')
			FROM FILES (format = 'PARQUET', uris = ['gs://b/loaded/*'], hive_partition_uri_prefix = 'gs://b/loaded')
			WITH PARTITION COLUMNS (project_id STRING);
			SELECT n, project_id FROM cv.loaded;
			LOAD DATA INTO cv.loaded FROM FILES (format = 'PARQUET', uris = ['gs://b/loaded/*'])`,
			[]string{
				"LOAD DATA cv.loaded: image_id STRING, n INT64, project_id STRING",
				"SELECT: n INT64, project_id STRING",
				"LOAD DATA cv.loaded: image_id STRING, n INT64, project_id STRING",
			}},
		{"load over a table", `
			LOAD DATA OVERWRITE cv.images (other DATE) FROM FILES (format = 'PARQUET', uris = ['gs://b/loaded/*']);
			SELECT * FROM cv.images`,
			[]string{"LOAD DATA cv.images: other DATE", "SELECT: other DATE"}},
		{"table function", `
			CREATE OR REPLACE TABLE FUNCTION cv.confusion(threshold FLOAT64, names ARRAY<STRING>) OPTIONS (description = 'f') AS
			SELECT name, pos, SAFE_DIVIDE(COUNT(*), threshold) AS ratio
			FROM UNNEST(names) AS name WITH OFFSET AS pos LEFT JOIN cv.above(threshold, 'x') AS a ON a.image_id = name
			GROUP BY name, pos;
			SELECT * FROM cv.confusion(1, ['a']);
			SELECT c.ratio, a.* FROM cv.confusion(0.5, []) AS c JOIN cv.above(0.5, NULL) AS a ON a.image_id = c.name`,
			[]string{
				"CREATE TABLE FUNCTION cv.confusion(threshold FLOAT64, names ARRAY<STRING>): name STRING, pos INT64, ratio FLOAT64",
				"SELECT: name STRING, pos INT64, ratio FLOAT64",
				"SELECT: ratio FLOAT64, image_id STRING, score FLOAT64",
			}},
		{"table function with its columns declared", `
			CREATE TABLE FUNCTION cv.f() RETURNS TABLE<x INT64, y STRING> AS SELECT 1 AS x, 'a' AS y;
			SELECT y FROM cv.f()`,
			[]string{"CREATE TABLE FUNCTION cv.f: x INT64, y STRING", "SELECT: y STRING"}},
		{"function", `
			CREATE FUNCTION cv.ratio(a FLOAT64, b FLOAT64) RETURNS FLOAT64 AS (SAFE_DIVIDE(a, b));
			SELECT cv.ratio(width, 2) FROM cv.images`,
			[]string{"CREATE FUNCTION cv.ratio(a FLOAT64, b FLOAT64)", "SELECT: f0_ FLOAT64"}},
		{"descriptions", `
			ALTER SCHEMA cv SET OPTIONS (description = 'd');
			ALTER TABLE cv.images SET OPTIONS (description = 'd', labels = [('a', 'b')]);
			ALTER TABLE cv.images ALTER COLUMN IMAGE_ID SET OPTIONS (description = NULL);
			ALTER TABLE IF EXISTS cv.none SET OPTIONS (description = 'd');
			CREATE VIEW cv.v AS SELECT 1 AS a;
			ALTER VIEW cv.v SET OPTIONS (description = 'd');
			ALTER VIEW cv.v ALTER COLUMN a SET OPTIONS (description = 'd');
			CREATE EXTERNAL TABLE cv.e (a STRING) OPTIONS (format = 'PARQUET', uris = ['gs://b/*']);
			ALTER TABLE cv.e SET OPTIONS (uris = ['gs://b/c/*'])`,
			[]string{
				"ALTER SCHEMA cv", "ALTER TABLE cv.images", "ALTER TABLE cv.images", "ALTER TABLE cv.none", "CREATE VIEW cv.v: a INT64",
				"ALTER VIEW cv.v", "ALTER VIEW cv.v", "CREATE EXTERNAL TABLE cv.e: a STRING", "ALTER TABLE cv.e",
			}},
		{"again", `
			CREATE TABLE IF NOT EXISTS cv.images (other DATE);
			SELECT width FROM cv.images;
			CREATE OR REPLACE TABLE cv.images (other DATE);
			SELECT other FROM cv.images`,
			[]string{"CREATE TABLE cv.images: other DATE", "SELECT: width INT64", "CREATE TABLE cv.images: other DATE", "SELECT: other DATE"}},
		{"a name in quotes", "CREATE SCHEMA `my-project.cv`; CREATE VIEW `my-project.cv.v` AS SELECT 1 AS a;\n" +
			"SELECT a FROM `my-project.cv`.v; SELECT a FROM my-project.cv.v; SELECT x.a FROM `my-project`.`cv`.`v` AS x; SELECT width FROM `cv.images`",
			[]string{"CREATE SCHEMA my-project.cv", "CREATE VIEW my-project.cv.v: a INT64", "SELECT: a INT64", "SELECT: a INT64", "SELECT: a INT64", "SELECT: width INT64"}},
		{"a table, a function and a column of one name", `
			CREATE FUNCTION cv.images(a INT64) AS (a + 1);
			SELECT cv.images(images.width) AS images FROM cv.images`,
			[]string{"CREATE FUNCTION cv.images(a INT64)", "SELECT: images INT64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Analyze(warehouse + test.script)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, s := range got[4:] {
				lines = append(lines, short(s))
			}
			if !slices.Equal(lines, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(lines, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		name         string
		script       string // after warehouse
		line, column int    // of script
		message      string
	}{
		{"syntax", "SELECT 1 WHERE", 1, 15, "Unexpected end of statement"},
		{"a keyword for a name", "CREATE TABLE cv.t (a STRING,\n  order INT64)", 2, 3, "got keyword ORDER"},
		{"unclosed string", "SELECT 'a; SELECT 1;\nSELECT 2", 1, 8, "Unclosed string literal"},
		{"unknown column", "SELECT width,\n\theight FROM cv.images", 2, 9, "Unrecognized name: height"},
		{"unknown field", "SELECT o.rows FROM cv.predictions, UNNEST(objects) AS o", 1, 10, "Field name `rows` does not exist"},
		{"unknown table", "SELECT * FROM cv.image", 1, 15, "Table not found: cv.image"},
		{"a table's name in another case", "SELECT * FROM cv.Images", 1, 15, "cv.Images not found"},
		{"another project's table", "SELECT * FROM p.cv.images", 1, 15, "Table not found"},
		{"later table", "SELECT * FROM cv.t; CREATE TABLE cv.t (a STRING)", 1, 15, "Table not found: cv.t"},
		{"wrong type", "SELECT width + image_id FROM cv.images", 1, 8, "No matching signature for operator +"},
		{"wrong function", "SELECT LIST_SUM([width]) FROM cv.images", 1, 8, "Function not found: LIST_SUM"},
		{"wrong argument", "SELECT SAFE_DIVIDE('a', 1)", 1, 8, "No matching signature for function SAFE_DIVIDE"},
		{"window function in WHERE", "SELECT 1 FROM cv.images WHERE ROW_NUMBER() OVER () = 1", 1, 31, "Analytic function not allowed in WHERE"},
		{"not grouped", "SELECT tag_id, COUNT(*) FROM cv.predictions", 1, 8, "neither grouped nor aggregated"},
		{"columns of one name", "SELECT width, 1 AS Width FROM cv.images", 1, 1, "two columns Width"},
		{"columns of one name in a view", "CREATE VIEW cv.v AS SELECT width, 1 AS Width FROM cv.images", 1, 21, "duplicate name Width"},
		{"no column name in a view", "CREATE VIEW cv.v AS SELECT width + 1 FROM cv.images", 1, 21, "must be named"},
		{"a query of a view that is refused", "CREATE VIEW cv.v AS\nSELECT nothing FROM cv.images", 2, 8, "Unrecognized name: nothing"},

		{"table function: too few arguments", "SELECT * FROM cv.above(0.5)", 1, 15, "requires at least 2 arguments"},
		{"table function: too many arguments", "SELECT * FROM cv.above(0.5, 'a', 1)", 1, 15, "at most 2 arguments"},
		{"table function: wrong argument", "SELECT * FROM cv.above('a', 'a')", 1, 15, "Unable to coerce type STRING to expected type FLOAT64"},
		{"table function: unknown", "SELECT * FROM cv.below(0.5)", 1, 15, "Table-valued function not found: cv.below"},
		{"table function: other case", "SELECT * FROM cv.Above(0.5, 'a')", 1, 15, "cv.Above not found"},
		{"table function: no such column", "SELECT a.probability FROM cv.above(0.5, 'a') AS a", 1, 10, "Name probability not found inside a"},
		{"table function: as a function", "SELECT cv.above(0.5, 'a')", 1, 8, "Table-valued function is not expected here"},
		{"table function: its body", "CREATE TABLE FUNCTION cv.f(a STRING) AS\nSELECT width + a AS b FROM cv.images", 2, 8, "No matching signature for operator +"},
		{"table function: unknown parameter", "CREATE TABLE FUNCTION cv.f(a STRING) AS SELECT b AS c", 1, 48, "Unrecognized name: b"},
		{"table function: default", "CREATE TABLE FUNCTION cv.f(a FLOAT64 DEFAULT 0.5) AS SELECT a AS c", 1, 46, "DEFAULT values are not supported"},
		{"function: wrong argument", "CREATE FUNCTION cv.g(a INT64) AS (a);\nSELECT cv.g('a')", 2, 8, "No matching signature for function"},
		{"function: other case", "CREATE FUNCTION cv.g(a INT64) AS (a);\nSELECT 1 + cv.G(2)", 2, 12, "cv.G not found"},

		{"no dataset", "CREATE TABLE t (a STRING)", 1, 1, "t has no dataset"},
		{"unknown dataset", "CREATE VIEW vc.v AS SELECT 1 AS a", 1, 1, "dataset vc"},
		{"twice", "\nCREATE VIEW cv.images AS SELECT 1 AS a", 2, 1, "cv.images exists and is a TABLE"},
		{"twice the same", "CREATE TABLE cv.images (a STRING)", 1, 1, "cv.images exists already"},
		{"twice but for case", "CREATE TABLE cv.Images (a STRING)", 1, 1, "cv.Images and cv.images differ only in case"},
		{"a partition column that is a column", "CREATE EXTERNAL TABLE cv.e (a STRING)\nWITH PARTITION COLUMNS (A STRING)\nOPTIONS (uris = ['gs://b/*'])", 2, 25, "Duplicate column name A"},
		{"a type that BigQuery lacks", "CREATE TABLE cv.t (a UUID)", 1, 22, "Type not found: UUID"},
		{"unknown option", "CREATE EXTERNAL TABLE cv.e (a STRING) OPTIONS (\n  hive_partition_url_prefix = 'gs://b')", 2, 3, "EXTERNAL TABLE has no option hive_partition_url_prefix"},
		{"option of another kind of statement", "CREATE TABLE cv.t (a STRING) OPTIONS (uris = ['gs://b/*'])", 1, 39, "TABLE has no option uris"},
		{"option of the wrong type", "CREATE EXTERNAL TABLE cv.e (a STRING) OPTIONS (uris = 'gs://b/*')", 1, 48, "uris takes ARRAY<STRING>, not STRING"},
		{"unknown option of a column", "CREATE TABLE cv.t (a STRING OPTIONS (descr = 'x'))", 1, 38, "a column has no option descr"},
		{"unknown option of a view's column", "CREATE VIEW cv.v (a OPTIONS (descr = 'x')) AS SELECT 1", 1, 30, "a column has no option descr"},
		{"unknown option of files", "LOAD DATA INTO cv.images FROM FILES (uri = ['gs://b/*'])", 1, 38, "FROM FILES has no option uri"},
		{"load into columns unknown", "LOAD DATA INTO cv.t FROM FILES (format = 'PARQUET', uris = ['gs://b/*'])", 1, 1, "list them"},
		{"alter what is not there", "ALTER TABLE cv.t SET OPTIONS (description = 'x')", 1, 1, "no earlier statement creates cv.t"},
		{"alter what is another kind", "ALTER VIEW cv.images SET OPTIONS (description = 'x')", 1, 1, "cv.images is a TABLE"},
		{"alter a column that is not there", "ALTER TABLE cv.images ALTER COLUMN a SET OPTIONS (description = 'x')", 1, 36, "Column not found: a"},
		{"alter by another option", "CREATE VIEW cv.v AS SELECT 1 AS a;\nALTER VIEW cv.v SET OPTIONS (kms_key_name = 'x')", 2, 30, "VIEW has no option kms_key_name"},
		{"alter more than options", "ALTER TABLE cv.images ADD COLUMN a STRING", 1, 1, "only SET OPTIONS"},
		{"another kind of statement", "DROP TABLE cv.images", 1, 1, "Statement not supported: DropStatement"},

		{"outer join without equality", "SELECT 1 FROM cv.images AS i\nLEFT JOIN cv.predictions AS p ON i.width > p.probability", 2, 1, "an outer join needs"},
		{"outer join with an equality OR more", "SELECT 1 FROM cv.images AS i FULL JOIN cv.predictions AS p ON i.image_id = p.image_id OR TRUE", 1, 30, "an outer join needs"},
		{"outer join with an equality of one side", "SELECT 1 FROM cv.images AS i RIGHT JOIN cv.predictions AS p ON p.tag_id = 'a' AND p.tag_id = p.image_id", 1, 30, "an outer join needs"},
		{"outer join in a subquery", "SELECT (SELECT COUNT(*) FROM cv.images AS i LEFT JOIN cv.predictions AS p ON TRUE) AS n", 1, 45, "an outer join needs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Analyze(warehouse + test.script + "\n;")
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("it is not refused: %v", err)
			}
			if !strings.Contains(refused.Message, test.message) {
				t.Errorf("%v, want %q", err, test.message)
			}
			if line := refused.Line - warehouseLines; line != test.line || refused.Column != test.column {
				t.Errorf("the place is %d:%d, want %d:%d", line, refused.Column, test.line, test.column)
			}
		})
	}
}

// TestEveryError checks that an error in one statement does not hide those in others.
func TestEveryError(t *testing.T) {
	got, err := Analyze(`CREATE SCHEMA cv;
CREATE VIEW cv.v AS SELECT a FROM cv.nothing;
-- A semicolon in a comment; and in a string.
SELECT 'a;b' FROM;
CREATE TABLE cv.t (a STRING);
  SELECT a, b FROM cv.t AS one_two_three WHERE a = 'four' AND a = 'five';
SELECT a FROM cv.t;`)
	want := `line 2, column 35: CREATE VIEW cv.v AS SELECT a FROM cv.nothing: Table not found: cv.nothing
line 4, column 18: SELECT 'a;b' FROM: Syntax error: Unexpected end of statement
line 6, column 13: SELECT a, b FROM cv.t AS one_two_three WHERE ...: Unrecognized name: b`
	if fmt.Sprint(err) != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("%T is not three errors", err)
	}
	var lines []string
	for _, s := range got {
		lines = append(lines, fmt.Sprintf("%d %s", s.Line, s.SQL))
	}
	if want := []string{"1 CREATE SCHEMA cv", "5 CREATE TABLE cv.t (a STRING)", "7 SELECT a FROM cv.t"}; !slices.Equal(lines, want) {
		t.Errorf("the others are %q, want %q", lines, want)
	}
}

// TestAtOnce checks that scripts that are analysed at the same time do not see each other.
func TestAtOnce(t *testing.T) {
	errs := make(chan error)
	const scripts = 8
	for i := range scripts {
		go func() {
			got, err := Analyze(fmt.Sprintf("CREATE SCHEMA d; CREATE VIEW d.v AS SELECT %d AS c%d; SELECT * FROM d.v", i, i))
			if err == nil && got[2].Columns[0].Name != fmt.Sprintf("c%d", i) {
				err = fmt.Errorf("script %d sees %v", i, got[2].Columns)
			}
			errs <- err
		}()
	}
	for range scripts {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

package sql

import "testing"

// TestLanguage checks queries over the tables of warehouse: what BigQuery's reference
// documents is accepted, what BigQuery lacks is refused.
func TestLanguage(t *testing.T) {
	for _, test := range []struct {
		accepted bool
		query    string
	}{
		{true, "SELECT SUM(width) OVER (PARTITION BY image_id ORDER BY created ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM cv.images"},
		{true, "SELECT RANK() OVER w AS r FROM cv.images WINDOW w AS (ORDER BY width)"},
		{true, "SELECT LAST_VALUE(width IGNORE NULLS) OVER (ORDER BY created DESC NULLS LAST) AS v FROM cv.images"},
		{true, "SELECT image_id FROM cv.images QUALIFY ROW_NUMBER() OVER (ORDER BY width) = 1"},
		{true, "SELECT image_id, p.tag_id FROM cv.images FULL OUTER JOIN cv.predictions AS p USING (image_id)"},
		{true, "SELECT 1 AS a FROM cv.images AS i LEFT JOIN cv.predictions AS p ON LOWER(i.image_id) = LOWER(p.image_id) AND p.probability > 0.5"},
		{true, "SELECT o.key, pos FROM cv.predictions AS p LEFT JOIN UNNEST(p.objects) AS o WITH OFFSET AS pos"},
		{true, "SELECT i.* EXCEPT (width) REPLACE (DATE(created) AS created), x FROM cv.images AS i JOIN (SELECT 1 AS x) ON TRUE LIMIT 1"},
		{true, "SELECT ARRAY_AGG(STRUCT(tag_id, probability) ORDER BY probability DESC LIMIT 3) AS best FROM cv.predictions"},
		{true, "SELECT ARRAY(SELECT AS STRUCT o.key, o.size FROM UNNEST(objects) AS o WHERE o.size > 0) AS big FROM cv.predictions"},
		{true, "SELECT ANY_VALUE(tag_id HAVING MAX probability) AS tag, STRING_AGG(tag_id, ', ' ORDER BY tag_id) AS tags FROM cv.predictions"},
		{true, "SELECT APPROX_QUANTILES(width, 4)[OFFSET(1)] AS q, COUNTIF(width > 1) AS n, LOGICAL_AND(width > 1) AS l FROM cv.images"},
		{true, "SELECT SAFE_DIVIDE(1, 0) AS a, LEAST(1, 2.5) AS b, GREATEST('a', 'b') AS c, IF(TRUE, 1, NULL) AS d, IEEE_DIVIDE(1, 0) AS e"},
		{true, "SELECT GENERATE_ARRAY(0.0, 1.0, 0.05) AS a, ARRAY_LENGTH([1, 2]) AS b, SAFE_CAST('1' AS FLOAT64) AS c, SAFE.SUBSTR('a', 0, -1) AS d"},
		{true, "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n"},
		{true, "SELECT tag_id, GROUPING(tag_id) AS g, COUNT(*) AS n FROM cv.predictions GROUP BY ROLLUP (tag_id)"},
		{true, "SELECT * FROM (SELECT tag_id, probability FROM cv.predictions) PIVOT (MAX(probability) FOR tag_id IN ('a', 'b'))"},
		{true, "SELECT i.image_id FROM cv.images AS i WHERE EXISTS (SELECT 1 FROM cv.predictions AS p WHERE p.image_id = i.image_id)"},
		{true, "SELECT width IS DISTINCT FROM 1 AS a, image_id LIKE ANY ('a%', 'b%') AS b FROM cv.images"},
		{true, "SELECT TIMESTAMP_DIFF(created, TIMESTAMP '2020-01-01', DAY) AS d, DATE_TRUNC(DATE(created), WEEK(MONDAY)) AS w FROM cv.images"},
		{true, "SELECT created FROM cv.images FOR SYSTEM_TIME AS OF TIMESTAMP '2020-01-01'"},

		{false, "SELECT COUNT(*) FILTER (WHERE width > 1) AS n FROM cv.images"},
		{false, "SELECT width AS w, w + 1 AS x FROM cv.images"},
		{false, "SELECT ARRAY_TRANSFORM([1], e -> e + 1) AS a"},
		{false, "SELECT [1, 2] = [1, 2] AS a"},
		{false, "SELECT width::FLOAT64 AS a FROM cv.images"},
		{false, "SELECT CAST(width AS INT32) AS a FROM cv.images"},
		{false, "SELECT CAST(width AS DOUBLE) AS a FROM cv.images"},
		{false, "SELECT 'a' 'b' AS a"},
		{false, "SELECT 1 AS a WHERE 1 == 1"},
		{false, "SELECT image_id FROM cv.images LIMIT 1 + 1"},
		{false, "SELECT DISTINCT ON (image_id) image_id FROM cv.images"},
		{false, "SELECT ROW_NUMBER() OVER (PARTITION BY probability) AS n FROM cv.predictions"},
		{false, "SELECT MAX(objects) AS m FROM cv.predictions"},
		{false, "FROM cv.images SELECT image_id"},
		{false, "SELECT image_id FROM images"},
	} {
		if _, err := Analyze(warehouse + test.query); (err == nil) != test.accepted {
			t.Errorf("%s\n\t%v", test.query, err)
		}
	}
}

package report

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

var kinds = []simulated.Kind{simulated.Multiclass, simulated.Multilabel, simulated.Detection}

// TestFiguresAreTheViews compares a page with the views and functions of an untouched
// database.
func TestFiguresAreTheViews(t *testing.T) {
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			if testing.Short() && kind != simulated.Detection {
				t.Skip("a long comparison")
			}
			root := exported.Warehouse(t, simulated.Config{Seed: 3, Kind: kind, Images: 250, Iterations: 3})
			// Some probabilities are equal, and some are thresholds.
			tables := []string{"images", "predictions", "tags"}
			if kind == simulated.Detection {
				tables = append(tables, "regions")
			}
			overlap(t, root, tables...)
			exported.Rewrite(t, root, "predictions", "CASE WHEN hash(image_id, prediction_index) % 3 = 0 THEN round(probability * 20) / 20 ELSE probability END AS probability")
			start := 0.333
			page := loadPage(t, root, Options{Threshold: &start})
			if page.Kind != string(kind) || page.Shown != 2 || page.Compared != 1 || page.Thresholds[page.Start] != start {
				t.Fatalf("kind %s, iteration %d compared with %d, starts at %v", page.Kind, page.Shown, page.Compared, page.Thresholds[page.Start])
			}
			db := exported.Open(t, root)
			exported.InMemory(t, db)
			for n, threshold := range page.Thresholds {
				if n == page.Start || n == len(page.Thresholds)-2 || (n == 0 && kind == simulated.Detection) {
					compare(t, db, page, n, threshold)
				}
			}
			compareCurves(t, db, page)
			compareVerdict(t, db, page)
		})
	}
}

// TestUnlisted has predictions of a tag that is in no other table, with and without the
// tables that list images and tags.
func TestUnlisted(t *testing.T) {
	for _, table := range []string{"", "images", "tag_performance"} {
		if testing.Short() && table != "images" {
			continue
		}
		root := exported.Warehouse(t, simulated.Config{Seed: 4, Kind: simulated.Multilabel, Images: 60, Iterations: 2})
		const some = "CASE WHEN hash(image_id, prediction_index) % 7 = 0 THEN 'other' ELSE "
		exported.Rewrite(t, root, "predictions", some+"tag_id END AS tag_id", some+"tag_name END AS tag_name")
		if table != "" {
			exported.Empty(t, root, table)
		}
		page := loadPage(t, root, Options{})
		if !slices.ContainsFunc(page.Tags, func(t Tag) bool { return t.ID == "other" }) {
			t.Errorf("without %q: the tags are %v", table, page.Tags)
		}
		db := exported.Open(t, root)
		exported.InMemory(t, db)
		compare(t, db, page, page.Start, page.Thresholds[page.Start])
	}
}

// A curve of a tag that the page does not have must not become another tag's.
func TestUnknownTag(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := exported.Warehouse(t, simulated.Config{Seed: 4, Kind: simulated.Multilabel, Images: 20, Iterations: 2})
	db := exported.Open(t, root)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, function := range []string{"average_precision", "best_threshold", "precision_recall_curve"} {
		l := &loader{warehouse: warehouse{ctx: t.Context(), conn: conn}, db: db}
		if err := l.choose(Options{}); err != nil {
			t.Fatal(err)
		}
		if err := l.readTags(); err != nil {
			t.Fatal(err)
		}
		if err := l.readCurves(); err != nil {
			t.Fatalf("before %s has another tag: %v", function, err)
		}
		kept := "report_test_" + function
		if err := l.run("CREATE TABLE "+kept+" AS FROM "+function+"(0.3)",
			"CREATE OR REPLACE MACRO "+function+"(overlap_threshold) AS TABLE SELECT * REPLACE ('other' AS tag_id) FROM "+kept); err != nil {
			t.Fatal(err)
		}
		if err := l.readCurves(); err == nil || !strings.Contains(err.Error(), `tag "other"`) {
			t.Errorf("%s: error = %v", function, err)
		}
		if err := l.run("CREATE OR REPLACE MACRO " + function + "(overlap_threshold) AS TABLE FROM " + kept); err != nil {
			t.Fatal(err)
		}
	}
}

func loadPage(t *testing.T, root string, o Options) *Page {
	t.Helper()
	page, err := Load(t.Context(), exported.OpenViews(t, root), o)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// compare compares the page at one threshold with the functions' rows.
func compare(t *testing.T, db *sql.DB, page *Page, n int, threshold float64) {
	t.Helper()
	at := fmt.Sprintf("(CAST(%v AS DOUBLE), CAST(%v AS DOUBLE))", threshold, page.Overlap)
	shown, before := page.Iterations[page.Shown].ID, page.Iterations[page.Compared].ID
	tag := func(t int) any {
		if t < 0 {
			return nil
		}
		return page.Tags[t].ID
	}
	image := func(at any) any { return page.Images[at.(int)].ID }
	same := func(what, query string, got [][]any) {
		t.Helper()
		if diff := gocmp.Diff(rowsOf(t, db, query), texts(t, got)); diff != "" {
			t.Errorf("%s at threshold %v (-functions +page):\n%s", what, threshold, diff)
		}
	}

	const counts = "true_positives, false_positives, false_negatives, precision, recall, f1"
	var trend [][]any
	for i, figures := range page.Trend[n] {
		trend = append(trend, []any{page.Iterations[i].ID, figures[0], figures[1], figures[2]})
	}
	slices.SortFunc(trend, func(a, b []any) int { return cmp.Compare(a[0].(string), b[0].(string)) })
	same("trend", "SELECT iteration_id, precision, recall, f1 FROM tag_metrics"+at+" WHERE scope = 'micro' ORDER BY 1", trend)
	// lines are the rows of metrics, ordered by scope and tag. Without a case, a tag has
	// none in a comparison.
	lines := func(m metrics) [][]any {
		all := [][]any{append([]any{"macro", nil}, m.Macro...), append([]any{"micro", nil}, m.Micro...)}
		var tags [][]any
		for place, line := range m.Tags {
			if line != nil {
				tags = append(tags, append([]any{"tag", page.Tags[place].ID}, line...))
			}
		}
		slices.SortFunc(tags, func(a, b []any) int { return cmp.Compare(a[1].(string), b[1].(string)) })
		return append(all, tags...)
	}
	same("metrics", "SELECT scope, tag_id, "+counts+" FROM tag_metrics"+at+" WHERE iteration_id = '"+shown+"' ORDER BY scope, tag_id", lines(page.Metrics[n]))
	comparison := fmt.Sprintf("comparison('%s', '%s', '%s', CAST(%v AS DOUBLE), CAST(%v AS DOUBLE))", page.Project.ID, before, shown, threshold, page.Overlap)
	for side, m := range map[string]metrics{"before_": page.Shared[n].Before, "after_": page.Shared[n].Now} {
		same("figures "+side+"on shared images", "SELECT scope, tag_id, "+side+strings.ReplaceAll(counts, ", ", ", "+side)+" FROM "+comparison+" ORDER BY scope, tag_id", lines(m))
	}
	same("shared images", "SELECT images FROM "+comparison+" WHERE scope = 'micro'", [][]any{{page.Shared[n].Images}})

	var confusion [][]any
	for _, c := range page.Confusion[n] {
		confusion = append(confusion, []any{tag(c[0]), tag(c[1]), c[2]})
	}
	same("confusion", "SELECT true_tag_id, predicted_tag_id, cases FROM confusion"+at+" WHERE iteration_id = '"+shown+"' ORDER BY ALL", confusion)

	var hardest, suspects [][]any
	for _, h := range page.Hardest[n] {
		hardest = append(hardest, []any{image(h[0]), h[1], h[2], h[3], h[4]})
	}
	same("hardest images", fmt.Sprintf("SELECT image_id, error, true_positives, false_positives, false_negatives FROM hardest_images%s WHERE iteration_id = '%s' AND place <= %d ORDER BY place", at, shown, listLength), hardest)
	same("how many are hard", "SELECT count(*) FROM hardest_images"+at+" WHERE iteration_id = '"+shown+"'", [][]any{{page.HardTotal[n]}})
	for _, s := range page.Suspects {
		row := append([]any{image(s[0])}, s[1:]...)
		row[3], row[6] = tag(s[3].(int)), tag(s[6].(int))
		suspects = append(suspects, row)
	}
	of := fmt.Sprintf("label_suspects() WHERE iteration_id = '%s'", shown)
	same("label suspects", fmt.Sprintf(`SELECT image_id, kind, score, predicted_tag_id, predicted_probability, predicted_threshold, labelled_tag_id, labelled_probability, labelled_threshold,
prediction_index, label_index, iou FROM %s AND place <= %d ORDER BY place`, of, listLength), suspects)
	same("how many are suspect", "SELECT count(*) FROM "+of, [][]any{{page.SusTotal}})

	function := fmt.Sprintf("iteration_changes('%s', '%s', '%s', CAST(%v AS DOUBLE), CAST(%v AS DOUBLE))", page.Project.ID, before, shown, threshold, page.Overlap)
	c := page.Changes[n]
	const kinds = "COUNT(*) FILTER (change = 'fixed'), COUNT(*) FILTER (change = 'broken'), COUNT(*) FILTER (change = 'still_right'), COUNT(*) FILTER (change = 'still_wrong')"
	same("changes", "SELECT "+kinds+" FROM "+function, [][]any{{c.Counts[0], c.Counts[1], c.Counts[2], c.Counts[3]}})
	var byTag [][]any
	for _, line := range c.Tags {
		byTag = append(byTag, []any{tag(line[0]), line[1], line[2], line[3], line[4]})
	}
	same("changes by tag", "SELECT tag_id, "+kinds+" FROM "+function+" GROUP BY tag_id ORDER BY tag_id", byTag)
	for change, lines := range map[string][]changed{"fixed": c.Fixed, "broken": c.Broken} {
		if want := min(listLength, map[string]int{"fixed": c.Counts[0], "broken": c.Counts[1]}[change]); len(lines) != want {
			t.Errorf("threshold %v: %d images are %s, want %d", threshold, len(lines), change, want)
		}
		var got [][]any
		for _, line := range lines {
			got = append(got, append([]any{image(line[0]), tag(line[1].(int))}, line[2:]...))
		}
		slices.SortFunc(got, func(a, b []any) int {
			return cmp.Or(cmp.Compare(a[0].(string), b[0].(string)), cmp.Compare(a[1].(string), b[1].(string)))
		})
		var ids []string
		for _, line := range got {
			ids = append(ids, fmt.Sprintf("('%s', '%s')", line[0], line[1]))
		}
		if len(ids) == 0 {
			continue
		}
		same(change, `SELECT image_id, tag_id, before_true_positives, before_false_positives, before_false_negatives, before_probability,
after_true_positives, after_false_positives, after_false_negatives, after_probability FROM `+function+`
WHERE change = '`+change+`' AND (image_id, tag_id) IN (`+strings.Join(ids, ", ")+`) ORDER BY image_id, tag_id`, got)
	}
}

// overlap removes some images of each iteration, so that each has some of its own.
func overlap(t *testing.T, root string, tables ...string) {
	t.Helper()
	for _, table := range tables {
		exported.Keep(t, root, table, "hash(image_id, iteration_id) % 10 > 0")
	}
}

// compareVerdict compares the verdict with one from all signs of the differences, by a
// method of its own: the share of random signs that come as far.
func compareVerdict(t *testing.T, db *sql.DB, page *Page) {
	t.Helper()
	function := fmt.Sprintf("iteration_changes('%s', '%s', '%s', CAST(%v AS DOUBLE), CAST(%v AS DOUBLE))", page.Project.ID,
		page.Iterations[page.Compared].ID, page.Iterations[page.Shown].ID, page.Thresholds[page.Start], page.Overlap)
	query := `WITH images AS (SELECT COUNT(*) FILTER (change = 'fixed') AS fixed, COUNT(*) FILTER (change = 'broken') AS broken FROM ` + function + ` GROUP BY image_id),
d AS (SELECT fixed - broken AS d, row_number() OVER () AS n FROM images WHERE fixed <> broken),
sums AS (SELECT sum(CASE WHEN hash(concat(n, ' ', i)) % 2 = 0 THEN d ELSE -d END) AS s FROM d, range(4000) AS r(i) GROUP BY i)
SELECT (SELECT COUNT(*) FROM d), (SELECT SUM(fixed) FROM images), (SELECT SUM(broken) FROM images), AVG((ABS(s) >= ABS((SELECT SUM(d) FROM d)))::INT) FROM sums`
	var differ, fixed, broken int
	var p float64
	if err := db.QueryRowContext(t.Context(), query).Scan(&differ, &fixed, &broken, &p); err != nil {
		t.Fatal(err)
	}
	v := page.Verdict
	if v == nil || v.Differ != differ || v.Fixed != fixed || v.Broken != broken || math.Abs(v.P-p) > 0.04 { // five standard deviations
		t.Errorf("the verdict is %+v, want %d differ, %d fixed, %d broken and p about %.3f", v, differ, fixed, broken, p)
	}
	t.Logf("%+v, p about %.3f", v, p)
	if c := page.Changes[page.Start].Counts; v.Fixed != c[0] || v.Broken != c[1] {
		t.Errorf("the verdict has %d fixed and %d broken, the changes %v", v.Fixed, v.Broken, c)
	}
}

// compareCurves compares what does not depend on the threshold.
func compareCurves(t *testing.T, db *sql.DB, page *Page) {
	t.Helper()
	shown, before := page.Iterations[page.Shown].ID, page.Iterations[page.Compared].ID
	var areas, areasBefore, best [][]any
	places := make([]int, len(page.Tags))
	for n := range places {
		places[n] = n
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Compare(page.Tags[a].ID, page.Tags[b].ID) })
	for _, n := range places {
		tag := page.Tags[n]
		areas = append(areas, []any{tag.ID, tag.AveragePrecision, tag.Service[2], tag.Labels})
		areasBefore = append(areasBefore, []any{tag.ID, tag.Before})
		if tag.Best != nil {
			best = append(best, []any{tag.ID, tag.Best[0], tag.Best[1], tag.Best[2], tag.Best[3]})
		}
	}
	for _, c := range []struct {
		what, query string
		got         [][]any
	}{
		{"average precision", "SELECT tag_id, average_precision, service_average_precision, labels FROM average_precision(0.3) WHERE scope = 'tag' AND iteration_id = '" + shown + "' ORDER BY 1", areas},
		{"average precision before", "SELECT tag_id, average_precision FROM average_precision(0.3) WHERE scope = 'tag' AND iteration_id = '" + before + "' ORDER BY 1", areasBefore},
		{"mean average precision", "SELECT average_precision FROM average_precision(0.3) WHERE scope = 'macro' AND iteration_id IN ('" + shown + "', '" + before + "') ORDER BY iteration_id = '" + before + "'", [][]any{{page.AveragePrecision}, {page.AveragePrecisionBefore}}},
		{"best thresholds", "SELECT tag_id, probability_threshold, precision, recall, f1 FROM best_threshold(0.3) WHERE iteration_id = '" + shown + "' ORDER BY 1", best},
		{"points of curves", "SELECT count(*) FROM precision_recall_curve(0.3) WHERE iteration_id = '" + shown + "'", [][]any{{page.CurvePoints}}},
	} {
		if diff := gocmp.Diff(rowsOf(t, db, c.query), texts(t, c.got)); diff != "" {
			t.Errorf("%s (-functions +page):\n%s", c.what, diff)
		}
	}
}

func rowsOf(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	answer, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%v, in %s", err, query)
	}
	defer answer.Close()
	columns, err := answer.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var lines [][]any
	for answer.Next() {
		line, into := make([]any, len(columns)), make([]any, len(columns))
		for n := range line {
			into[n] = &line[n]
		}
		if err := answer.Scan(into...); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := answer.Err(); err != nil {
		t.Fatal(err)
	}
	return texts(t, lines)
}

func texts(t *testing.T, lines [][]any) []string {
	t.Helper()
	var all []string
	for _, line := range lines {
		for n, v := range line {
			switch v := v.(type) {
			case *float64:
				line[n] = nil
				if v != nil {
					line[n] = digits(*v)
				}
			case float64:
				line[n] = digits(v)
			}
		}
		b, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(bytes.TrimSpace(b)))
	}
	return all
}

// digits leaves out those that depend on the order of a sum.
func digits(f float64) string { return strconv.FormatFloat(f, 'g', 13, 64) }

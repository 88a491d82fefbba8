package report

import (
	"fmt"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// The evaluation functions are asked at each threshold of the slider, over every
// iteration of a project. So that this takes seconds, they run as they are, but
// over copies: of the project's rows alone, in memory, and of outcomes, which they
// all build on, evaluated once. What is right or wrong at one threshold is so at
// every threshold that it passes, because surer predictions take their labels
// first.

// prepare makes the copies.
func (l *loader) prepare() error {
	for _, do := range []func() error{l.enumerate, l.copyTables, l.materialize, l.keepOutcomes} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// keepOnly leaves the rows of some iterations, for what looks at these alone.
func (l *loader) keepOnly(iterations string) error {
	for _, table := range []string{"current_predictions", "report_outcomes"} {
		err := l.run("CREATE TABLE report_rows AS FROM "+table+" WHERE iteration_id IN ("+iterations+")", "DROP TABLE "+table, "ALTER TABLE report_rows RENAME TO "+table)
		if err != nil {
			return err
		}
	}
	return nil
}

// both are the ids of the iterations that are looked at closely, as SQL.
func (l *loader) both() string {
	ids := quote(l.shown().ID)
	if before, ok := l.compared(); ok {
		ids += ", " + quote(before.ID)
	}
	return ids
}

// wanted are the rows of the view current_predictions that the page needs: those
// of the two iterations, and of the others those that pass a threshold.
func (l *loader) wanted() []string {
	project := "project_id = " + quote(l.page.Project.ID)
	parts := []string{project + " AND iteration_id NOT IN (" + l.both() + ") AND probability >= " + double(l.page.Thresholds[0])}
	// A part each, because DuckDB looks at the files of others too for an IN.
	for id := range strings.SplitSeq(l.both(), ", ") {
		parts = append(parts, project+" AND iteration_id = "+id)
	}
	return parts
}

// enumerate makes enumerations of the texts that come again and again, in their
// order: numbers inside, the same texts for whoever compares or sorts them.
func (l *loader) enumerate() error {
	project := "project_id = " + quote(l.page.Project.ID)
	distinct := func(columns, more string) string {
		text := "SELECT DISTINCT " + columns + " FROM current_labels WHERE " + project + more
		for _, rows := range l.wanted() {
			text += " UNION SELECT DISTINCT " + columns + " FROM current_predictions WHERE " + rows
		}
		return text
	}
	if err := l.run("CREATE TABLE report_tags AS " + distinct("tag_id, tag_name", "")); err != nil {
		return err
	}
	for column, values := range map[string]string{
		"project_id":   "SELECT project_id FROM exports",
		"iteration_id": "SELECT iteration_id FROM exports WHERE " + project,
		"image_id":     distinct("image_id", " UNION SELECT image_id FROM current_images WHERE "+project),
		"tag_id":       "FROM report_tags",
		"tag_name":     "FROM report_tags",
	} {
		err := l.run(fmt.Sprintf("CREATE TYPE report_%s AS ENUM (SELECT DISTINCT %[1]s FROM (%s) WHERE %[1]s IS NOT NULL ORDER BY %[1]s)", column, values))
		if err != nil {
			return err
		}
	}
	return nil
}

// copyTables puts tables of the project's rows in the place of the views.
func (l *loader) copyTables() error {
	project := quote(l.page.Project.ID)
	short := func(columns string) string {
		for _, c := range []string{"project_id", "iteration_id", "image_id", "tag_id", "tag_name"} {
			columns = strings.Replace(columns, c, "CAST("+c+" AS report_"+c+") AS "+c, 1)
		}
		return columns
	}
	const box = ", box_left, box_top, box_width, box_height"
	var predictions []string
	for _, rows := range l.wanted() {
		predictions = append(predictions, "SELECT "+short("project_id, iteration_id, image_id, prediction_index, tag_id, tag_name, probability")+box+" FROM current_predictions WHERE "+rows)
	}
	for _, t := range []struct{ view, rows string }{
		{"current_predictions", strings.Join(predictions, " UNION ALL ")},
		{"current_labels", "SELECT " + short("project_id, iteration_id, image_id, label_index, tag_id, tag_name, region_id") + box + " FROM current_labels WHERE project_id = " + project},
		{"current_images", "SELECT " + short("project_id, iteration_id, image_id, width, height, image_uri, thumbnail_uri") + " FROM current_images WHERE project_id = " + project + " AND iteration_id IN (" + l.both() + ")"},
		{"tag_performance", "FROM tag_performance WHERE project_id = " + project},
		{"exports", "FROM exports WHERE project_id = " + project},
	} {
		if err := l.run("CREATE TABLE report_rows AS "+t.rows, "DROP VIEW "+t.view, "ALTER TABLE report_rows RENAME TO "+t.view); err != nil {
			return err
		}
	}
	return nil
}

// materialize lets the functions compute what they read twice once. Over the
// whole warehouse that would be every project's; here it is the copy.
func (l *loader) materialize() error {
	for _, view := range schema.Views() {
		if len(view.Arguments) == 0 {
			continue
		}
		var names []string
		for _, a := range view.Arguments {
			names = append(names, a.Name)
		}
		var body string
		err := l.read("SELECT macro_definition FROM duckdb_functions() WHERE function_type = 'table_macro' AND NOT internal AND function_name = "+quote(view.Name), func(row func(...any) error) error {
			return row(&body)
		})
		if err != nil {
			return err
		}
		body = strings.ReplaceAll(body, "AS NOT MATERIALIZED", "AS MATERIALIZED")
		if err := l.run(fmt.Sprintf("CREATE OR REPLACE MACRO %s(%s) AS TABLE %s", view.Name, strings.Join(names, ", "), body)); err != nil {
			return err
		}
	}
	return nil
}

// keepOutcomes evaluates outcomes once, and lets the functions build on that: on
// the predictions from the threshold on, and on labels that none of these found.
func (l *loader) keepOutcomes() error {
	const box = "box_left, box_top, box_width, box_height"
	return l.run(
		// A label that is missed at a threshold has its own box, not that of the
		// prediction that is not sure enough.
		`CREATE TABLE report_outcomes AS
SELECT o.* REPLACE (CAST(o.outcome AS ENUM ('false_negative', 'false_positive', 'true_positive')) AS outcome),
  l.box_left AS label_left, l.box_top AS label_top, l.box_width AS label_width, l.box_height AS label_height
FROM outcomes(0.0, `+double(l.page.Overlap)+`) AS o
LEFT JOIN current_labels AS l
  ON l.project_id = o.project_id AND l.iteration_id = o.iteration_id AND l.image_id = o.image_id AND l.label_index = o.label_index
WHERE o.outcome <> 'false_positive' OR o.probability >= `+double(l.page.Thresholds[0]),
		`CREATE OR REPLACE MACRO outcomes(probability_threshold, overlap_threshold) AS TABLE
SELECT project_id, iteration_id, image_id, outcome, tag_id, tag_name, probability, prediction_index, label_index, region_id, iou, `+box+`
FROM report_outcomes WHERE outcome = 'false_negative' OR probability >= probability_threshold
UNION ALL
SELECT project_id, iteration_id, image_id, 'false_negative', tag_id, tag_name, NULL, NULL, label_index, region_id, NULL, label_left, label_top, label_width, label_height
FROM report_outcomes WHERE outcome = 'true_positive' AND probability < probability_threshold`,
	)
}

// each calls a function's rows at every threshold of the slider.
func (l *loader) each(function, rest string, each func(threshold int, row func(...any) error) error) error {
	for t, threshold := range l.page.Thresholds {
		query := strings.ReplaceAll(strings.ReplaceAll(function, "{threshold}", double(threshold)), "{overlap}", double(l.page.Overlap))
		if err := l.read(query+rest, func(row func(...any) error) error { return each(t, row) }); err != nil {
			return fmt.Errorf("at threshold %v: %w", threshold, err)
		}
	}
	return nil
}

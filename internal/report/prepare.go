package report

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

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
	for _, do := range []func() error{l.enumerate, l.copyTables, l.makeFunctions, l.keepOutcomes} {
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
// order: numbers inside, the same texts for whoever compares or sorts them. Images
// are too many for one; they get numbers, in the order of their ids. A text that
// stands nowhere but on predictions that pass no threshold has no part in any
// figure, and none here.
func (l *loader) enumerate() error {
	project := "project_id = " + quote(l.page.Project.ID)
	distinct := func(columns string) string {
		return "SELECT DISTINCT " + columns + " FROM current_labels WHERE " + project +
			" UNION SELECT DISTINCT " + columns + " FROM current_predictions WHERE " + project + " AND probability >= " + double(l.page.Thresholds[0])
	}
	err := l.run(
		"CREATE TABLE report_tags AS "+distinct("tag_id, tag_name"),
		"CREATE TABLE report_image_ids AS SELECT image_id AS id, row_number() OVER (ORDER BY image_id) AS number FROM ("+
			distinct("image_id")+" UNION SELECT image_id FROM current_images WHERE "+project+")",
	)
	if err != nil {
		return err
	}
	for column, values := range map[string]string{
		"project_id":   "SELECT project_id FROM exports",
		"iteration_id": "SELECT iteration_id FROM exports WHERE " + project,
		"tag_id":       "FROM report_tags",
		"tag_name":     "FROM report_tags",
	} {
		// An enumeration has to have a value, also in an empty project.
		err := l.run(fmt.Sprintf("CREATE TYPE report_%s AS ENUM (SELECT %[1]s FROM (SELECT %[1]s FROM (%s) WHERE %[1]s IS NOT NULL UNION SELECT '') ORDER BY %[1]s)", column, values))
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
		for _, c := range []string{"project_id", "iteration_id", "tag_id", "tag_name"} {
			columns = strings.Replace(columns, c, "TRY_CAST("+c+" AS report_"+c+") AS "+c, 1)
		}
		return strings.Replace(columns, "image_id", "number AS image_id", 1)
	}
	const numbered = " LEFT JOIN report_image_ids ON id = image_id WHERE "
	const box = ", box_left, box_top, box_width, box_height"
	var predictions []string
	for _, rows := range l.wanted() {
		predictions = append(predictions, "SELECT "+short("project_id, iteration_id, image_id, prediction_index, tag_id, tag_name, probability")+box+" FROM current_predictions"+numbered+rows)
	}
	for _, t := range []struct{ view, rows string }{
		{"current_predictions", strings.Join(predictions, " UNION ALL ")},
		{"current_labels", "SELECT " + short("project_id, iteration_id, image_id, label_index, tag_id, tag_name, region_id") + box + " FROM current_labels" + numbered + "project_id = " + project},
		{"current_images", "SELECT " + short("project_id, iteration_id, image_id, width, height, image_uri, thumbnail_uri") + " FROM current_images" + numbered + "project_id = " + project + " AND iteration_id IN (" + l.both() + ")"},
		{"tag_performance", "FROM tag_performance WHERE project_id = " + project},
		{"exports", "FROM exports WHERE project_id = " + project},
	} {
		if err := l.run("CREATE TABLE report_rows AS "+t.rows, "DROP VIEW "+t.view, "ALTER TABLE report_rows RENAME TO "+t.view); err != nil {
			return err
		}
	}
	return nil
}

// makeFunctions makes the functions, over the copies: DuckDB looks into every file
// for each of them otherwise. What they read twice they compute once; over the whole
// warehouse that would be every project's.
func (l *loader) makeFunctions() error {
	for _, macro := range schema.Macros() {
		if err := l.run(strings.ReplaceAll(macro, "AS NOT MATERIALIZED", "AS MATERIALIZED")); err != nil {
			return err
		}
	}
	return nil
}

// keepOutcomes evaluates outcomes once, and lets the functions build on that: on
// the predictions from the threshold on, and on labels that none of these found.
func (l *loader) keepOutcomes() error {
	const box = "box_left, box_top, box_width, box_height"
	low := double(l.page.Thresholds[0])
	return l.run(
		// What passes no threshold and could find no label is wrong and never counted.
		"ALTER TABLE current_predictions RENAME TO report_predictions",
		`CREATE TABLE current_predictions AS SELECT p.* FROM report_predictions AS p
WHERE p.probability >= `+low+` OR EXISTS (SELECT 1 FROM current_labels AS l
  WHERE l.project_id = p.project_id AND l.iteration_id = p.iteration_id AND l.image_id = p.image_id AND l.tag_id = p.tag_id)`,
		// A label that is missed at a threshold has its own name and box, not those of
		// the prediction that is not sure enough.
		`CREATE TABLE report_outcomes AS
SELECT o.* REPLACE (CAST(o.outcome AS ENUM ('false_negative', 'false_positive', 'true_positive')) AS outcome),
  l.tag_name AS label_name, l.box_left AS label_left, l.box_top AS label_top, l.box_width AS label_width, l.box_height AS label_height
FROM outcomes(0.0, `+double(l.page.Overlap)+`) AS o
LEFT JOIN (FROM current_labels WHERE iteration_id IN (`+l.both()+`)) AS l
  ON l.project_id = o.project_id AND l.iteration_id = o.iteration_id AND l.image_id = o.image_id AND l.label_index = o.label_index
WHERE o.outcome <> 'false_positive' OR o.probability >= `+low,
		`CREATE OR REPLACE MACRO outcomes(probability_threshold, overlap_threshold) AS TABLE
SELECT project_id, iteration_id, image_id, outcome, tag_id, tag_name, probability, prediction_index, label_index, region_id, iou, `+box+`
FROM report_outcomes WHERE outcome = 'false_negative' OR probability >= probability_threshold
UNION ALL
SELECT project_id, iteration_id, image_id, 'false_negative', tag_id, label_name, NULL, NULL, label_index, region_id, NULL, label_left, label_top, label_width, label_height
FROM report_outcomes WHERE outcome = 'true_positive' AND probability < probability_threshold`,
	)
}

// keepCurves evaluates precision_recall_curve once, from every prediction.
func (l *loader) keepCurves() error {
	return l.run(
		"ALTER TABLE current_predictions RENAME TO report_part",
		"CREATE VIEW current_predictions AS FROM report_predictions WHERE iteration_id IN ("+l.both()+")",
		"CREATE TABLE report_curve AS FROM precision_recall_curve("+double(l.page.Overlap)+")",
		"CREATE OR REPLACE MACRO precision_recall_curve(overlap_threshold) AS TABLE FROM report_curve",
		"DROP VIEW current_predictions",
		"ALTER TABLE report_part RENAME TO current_predictions",
		"DROP TABLE report_predictions",
	)
}

// atEach calls do for every threshold of the slider, several at a time, each
// with a connection of its own. The functions it returns run one after the
// other, in the thresholds' order.
func (l *loader) atEach(do func(w warehouse, threshold string, n int) (func(), error)) error {
	group, ctx := errgroup.WithContext(l.ctx)
	group.SetLimit(connections)
	after := make([]func(), len(l.page.Thresholds))
	for n, threshold := range l.page.Thresholds {
		group.Go(func() (err error) {
			conn, err := l.db.Conn(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			if after[n], err = do(warehouse{ctx: ctx, conn: conn}, double(threshold), n); err != nil {
				return fmt.Errorf("at threshold %v: %w", threshold, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, f := range after {
		if f != nil {
			f()
		}
	}
	return nil
}

// each reads a query at every threshold of the slider. {threshold} and {overlap}
// in it are numbers. What row returns is run in the thresholds' order.
func (l *loader) each(query string, row func(threshold int, scan func(...any) error) (func(), error)) error {
	return l.atEach(func(w warehouse, threshold string, n int) (func(), error) {
		var after []func()
		text := strings.NewReplacer("{threshold}", threshold, "{overlap}", double(l.page.Overlap)).Replace(query)
		err := w.read(text, func(scan func(...any) error) error {
			f, err := row(n, scan)
			after = append(after, f)
			return err
		})
		return func() {
			for _, f := range after {
				f()
			}
		}, err
	})
}

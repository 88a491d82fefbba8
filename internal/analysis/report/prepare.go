package report

import (
	"errors"
	"fmt"
	"slices"
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
	for _, do := range []func() error{l.copyTables, l.makeFunctions, l.keepOutcomes} {
		if err := do(); err != nil {
			return err
		}
	}
	return nil
}

// keepOnly leaves the rows of some iterations, for what looks at these alone.
func (l *loader) keepOnly(iterations string) error {
	for _, table := range []string{"report_current_predictions", "report_right", "report_wrong", "report_missed"} {
		err := l.run("CREATE TABLE report_rows AS FROM "+table+" WHERE iteration_id IN ("+iterations+")", "DROP TABLE "+table, "ALTER TABLE report_rows RENAME TO "+table)
		if err != nil {
			return err
		}
	}
	return nil
}

// boxed is whether there are boxes: a classifier's are null, and take room if they
// are copied.
func (l *loader) boxed() bool {
	return slices.ContainsFunc(l.page.Iterations, func(i Iteration) bool { return i.Kind == "detection" })
}

// boxes are columns of a box: those of a table, or nulls in their place.
func (l *loader) boxes(prefix string) string {
	const columns = ", {}left, {}top, {}width, {}height"
	if l.boxed() {
		return strings.ReplaceAll(columns, "{}", prefix)
	}
	return ", NULL::DOUBLE AS box_left, NULL::DOUBLE AS box_top, NULL::DOUBLE AS box_width, NULL::DOUBLE AS box_height"
}

// boxesTo are the columns of a box to copy.
func (l *loader) boxesTo(columns string) string {
	if l.boxed() {
		return columns
	}
	return ""
}

// typed is an id as the enumeration has it: DuckDB makes texts of a column's values
// to compare them with a text.
func (l *loader) typed(column, id string) string {
	return "CAST(" + quote(id) + " AS report_" + column + ")"
}

// constant is the project's id, which needs no column.
func (l *loader) constant() string {
	return l.typed("project_id", l.page.Project.ID) + " AS project_id, "
}

// both are the ids of the iterations that are looked at closely, as SQL.
func (l *loader) both() string { return strings.Join(l.eachOfBoth(), ", ") }

// eachOfBoth are these by themselves: DuckDB looks at the files of others too for an IN.
func (l *loader) eachOfBoth() []string {
	ids := []string{quote(l.shown().ID)}
	if before, ok := l.compared(); ok {
		ids = append(ids, quote(before.ID))
	}
	return ids
}

// enumerate makes enumerations of the texts that come again and again, in their
// order: numbers inside, the same texts for whoever compares or sorts them. Images
// are too many for one; they get numbers, in the order of their ids. To look for
// them on every label and prediction takes as long as to copy these, so that is
// done only if one of them names what is not listed elsewhere.
func (l *loader) enumerate(thorough bool) error {
	project := " WHERE project_id = " + quote(l.page.Project.ID)
	distinct := func(column string, views ...string) string {
		if thorough {
			views = append(views, "current_labels", "current_predictions")
		}
		for n, v := range views {
			views[n] = "SELECT DISTINCT " + column + " AS text FROM " + v + project
		}
		return strings.Join(views, " UNION ")
	}
	err := l.run("CREATE OR REPLACE TABLE report_image_ids AS SELECT text AS id, row_number() OVER (ORDER BY text) AS number FROM (" + distinct("image_id", "current_images") + ")")
	if err != nil {
		return err
	}
	for column, values := range map[string]string{
		"project_id":   "SELECT DISTINCT project_id AS text FROM exports" + project,
		"iteration_id": "SELECT iteration_id AS text FROM exports" + project,
		"tag_id":       distinct("tag_id", "tag_performance"),
		"tag_name":     distinct("tag_name", "tag_performance"),
	} {
		// An enumeration has to have a value, also in an empty project.
		err := l.run("DROP TYPE IF EXISTS report_"+column,
			"CREATE TYPE report_"+column+" AS ENUM (SELECT text FROM ("+values+" UNION SELECT '') WHERE text IS NOT NULL ORDER BY text)")
		if err != nil {
			return err
		}
	}
	return nil
}

// copyTables puts tables of the project's rows in the place of the views.
func (l *loader) copyTables() error {
	copies := []string{"current_labels", "current_predictions", "current_images", "tag_performance", "exports"}
	for _, thorough := range []bool{false, true} {
		for _, view := range copies {
			if err := l.run("DROP TABLE IF EXISTS report_" + view); err != nil {
				return err
			}
		}
		if err := l.enumerate(thorough); err != nil {
			return err
		}
		for _, view := range copies {
			if err := l.run("CREATE TABLE report_" + view + " AS " + l.rows(view)); err != nil {
				return err
			}
		}
		const unlisted = " WHERE image_id IS NULL OR tag_id IS NULL OR tag_name IS NULL"
		unknown := false
		err := l.read("SELECT EXISTS (FROM report_current_predictions"+unlisted+") OR EXISTS (FROM report_current_labels"+unlisted+")", func(row func(...any) error) error {
			return row(&unknown)
		})
		if err != nil {
			return err
		}
		if !unknown {
			break
		}
	}
	region := "NULL::VARCHAR AS region_id"
	if l.boxed() {
		region = "region_id"
	}
	return l.run(
		"ALTER VIEW current_predictions RENAME TO report_predictions",
		"CREATE VIEW current_predictions AS SELECT "+l.constant()+"iteration_id, image_id, prediction_index, tag_id, tag_name, probability"+l.boxes("box_")+" FROM report_current_predictions",
		"CREATE OR REPLACE VIEW current_labels AS SELECT "+l.constant()+"iteration_id, image_id, label_index, tag_id, tag_name, "+region+l.boxes("box_")+" FROM report_current_labels",
		// Where an image is is asked for of those alone that are shown.
		"CREATE OR REPLACE VIEW current_images AS SELECT "+l.constant()+"iteration_id, image_id, width, height, NULL::VARCHAR AS image_uri, NULL::VARCHAR AS thumbnail_uri FROM report_current_images",
		"CREATE OR REPLACE VIEW tag_performance AS FROM report_tag_performance",
		"CREATE OR REPLACE VIEW exports AS FROM report_exports",
	)
}

// enumerated are columns, those of which there is an enumeration as that.
func enumerated(columns string) string {
	for _, c := range []string{"project_id", "iteration_id", "tag_id", "tag_name"} {
		columns = strings.Replace(columns, c, "TRY_CAST("+c+" AS report_"+c+") AS "+c, 1)
	}
	return columns
}

// rows is the query for a view's rows that the page needs.
func (l *loader) rows(view string) string {
	box := l.boxesTo(", box_left, box_top, box_width, box_height")
	project := "project_id = " + quote(l.page.Project.ID)
	from := func(columns string) string {
		return "SELECT " + strings.Replace(enumerated(columns), "image_id", "number AS image_id", 1) + " FROM " + view + " LEFT JOIN report_image_ids ON id = image_id WHERE " + project
	}
	switch view {
	case "current_predictions":
		// Of the two iterations also what passes no threshold but could find a label. The
		// rest is wrong, and never counted but in the curves.
		all := from("iteration_id, image_id, prediction_index, tag_id, tag_name, probability" + box)
		passes := "probability >= " + double(l.page.Thresholds[0])
		parts := []string{all + " AND iteration_id NOT IN (" + l.both() + ") AND " + passes}
		for _, id := range l.eachOfBoth() {
			parts = append(parts, all+" AND iteration_id = "+id+" AND ("+passes+
				" OR (number, TRY_CAST(tag_id AS report_tag_id)) IN (SELECT (image_id, tag_id) FROM report_current_labels WHERE iteration_id = "+id+"))")
		}
		return strings.Join(parts, " UNION ALL ")
	case "current_labels":
		return from("iteration_id, image_id, label_index, tag_id, tag_name" + l.boxesTo(", region_id") + box)
	case "current_images":
		return from("iteration_id, image_id, width, height, image_uri, thumbnail_uri") + " AND iteration_id IN (" + l.both() + ")"
	}
	return "FROM " + view + " WHERE " + project
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
	low := double(l.page.Thresholds[0])
	region, iou := "NULL::VARCHAR", "NULL::DOUBLE"
	if l.boxed() {
		region, iou = "region_id", "iou"
	}
	const common = "iteration_id, image_id, tag_id, tag_name, label_index"
	predicted := common + ", probability, prediction_index" + l.boxesTo(", region_id, iou, box_left, box_top, box_width, box_height")
	// part is one of the parts of outcomes.
	part := func(outcome, name, predicted, iou, box, from string) string {
		return "SELECT " + l.constant() + "iteration_id, image_id, '" + outcome + "' AS outcome, tag_id, " + name + " AS tag_name, " + predicted + ", label_index, " +
			region + " AS region_id, " + iou + " AS iou" + l.boxes(box) + " FROM " + from
	}
	const sure, unsure = "probability, prediction_index", "NULL, NULL"
	return l.run(
		// A label that is missed at a threshold has its own name and box, not those of
		// the prediction that is not sure enough.
		`CREATE TABLE report_outcomes AS
SELECT o.iteration_id, o.image_id, o.outcome, o.tag_id, o.tag_name, o.probability, o.prediction_index, o.label_index, l.tag_name AS label_name`+
			l.boxesTo(", o.region_id, o.iou, o.box_left, o.box_top, o.box_width, o.box_height, l.box_left AS label_left, l.box_top AS label_top, l.box_width AS label_width, l.box_height AS label_height")+`
FROM outcomes(0.0, `+double(l.page.Overlap)+`) AS o
LEFT JOIN (FROM current_labels WHERE iteration_id IN (`+l.both()+`)) AS l
  ON l.iteration_id = o.iteration_id AND l.image_id = o.image_id AND l.label_index = o.label_index
WHERE o.outcome <> 'false_positive' OR o.probability >= `+low,
		// A table each: the same text for every row is one that is compared once.
		"CREATE TABLE report_right AS SELECT "+predicted+", label_name"+l.boxesTo(", label_left, label_top, label_width, label_height")+" FROM report_outcomes WHERE outcome = 'true_positive'",
		"CREATE TABLE report_wrong AS SELECT "+predicted+" FROM report_outcomes WHERE outcome = 'false_positive'",
		"CREATE TABLE report_missed AS SELECT "+common+l.boxesTo(", region_id, box_left, box_top, box_width, box_height")+" FROM report_outcomes WHERE outcome = 'false_negative'",
		"DROP TABLE report_outcomes",
		"CREATE OR REPLACE MACRO outcomes(probability_threshold, overlap_threshold) AS TABLE "+strings.Join([]string{
			part("true_positive", "tag_name", sure, iou, "box_", "report_right WHERE probability >= probability_threshold"),
			part("false_positive", "tag_name", sure, iou, "box_", "report_wrong WHERE probability >= probability_threshold"),
			part("false_negative", "tag_name", unsure, "NULL", "box_", "report_missed"),
			part("false_negative", "label_name", unsure, "NULL", "label_", "report_right WHERE probability < probability_threshold"),
		}, " UNION ALL "),
	)
}

// keepCurves evaluates precision_recall_curve once, from every prediction: those
// that are copied are not all.
func (l *loader) keepCurves() error {
	var every []string
	for _, id := range l.eachOfBoth() {
		every = append(every, "SELECT "+enumerated("project_id, iteration_id, tag_id, probability")+" FROM report_predictions WHERE project_id = "+quote(l.page.Project.ID)+" AND iteration_id = "+id)
	}
	return l.run(
		"ALTER VIEW current_predictions RENAME TO report_part",
		"CREATE VIEW current_predictions AS "+strings.Join(every, " UNION ALL "),
		"CREATE TABLE report_curve AS FROM precision_recall_curve("+double(l.page.Overlap)+")",
		"CREATE OR REPLACE MACRO precision_recall_curve(overlap_threshold) AS TABLE FROM report_curve",
		"DROP VIEW current_predictions",
		"ALTER VIEW report_part RENAME TO current_predictions",
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

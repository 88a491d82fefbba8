package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/schema"
)

// The page needs the evaluation functions at every threshold of the slider, over every
// iteration of a project. To make this a matter of seconds, they run unchanged over
// copies: of the project's rows only, in memory, and of outcomes, on which they all
// build, evaluated once. A prediction that is right at one threshold is right at every
// threshold that it passes, because more probable predictions are assigned their
// labels first; the same holds for wrong ones.

// keepOnly drops the rows of other iterations, to make later queries faster.
func (l *loader) keepOnly(iterations string) error {
	for _, table := range []string{"report_current_predictions", "report_right", "report_wrong", "report_missed"} {
		err := l.run("CREATE TABLE report_rows AS FROM "+table+" WHERE iteration_id IN ("+iterations+")", "DROP TABLE "+table, "ALTER TABLE report_rows RENAME TO "+table)
		if err != nil {
			return err
		}
	}
	return nil
}

// hasBoxes reports whether there are boxes. A classifier's are null, and copying them
// would cost memory.
func (l *loader) hasBoxes() bool {
	return slices.ContainsFunc(l.page.Iterations, Iteration.IsDetector)
}

// boxes returns the columns of a box with a prefix, or nulls in their place.
func (l *loader) boxes(prefix string) string {
	const columns = ", {}left, {}top, {}width, {}height"
	if l.hasBoxes() {
		return strings.ReplaceAll(columns, "{}", prefix)
	}
	return ", NULL::DOUBLE AS box_left, NULL::DOUBLE AS box_top, NULL::DOUBLE AS box_width, NULL::DOUBLE AS box_height"
}

// ifBoxes returns columns that only exist if there are boxes.
func (l *loader) ifBoxes(columns string) string {
	if l.hasBoxes() {
		return columns
	}
	return ""
}

// enum returns an id as a value of its enumeration. Compared with a string, DuckDB would
// convert the column's values to strings.
func (l *loader) enum(column, id string) string {
	return "CAST(" + rows.Quote(id) + " AS report_" + column + ")"
}

// projectColumn returns the project's id as a constant, which needs no stored column.
func (l *loader) projectColumn() string {
	return l.enum("project_id", l.page.Project.ID) + " AS project_id, "
}

// both returns the ids of the two compared iterations as an SQL list.
func (l *loader) both() string { return strings.Join(l.bothIDs(), ", ") }

// bothIDs returns the two ids for queries of one each: for an IN, DuckDB would open the
// files of other iterations too.
func (l *loader) bothIDs() []string {
	ids := []string{rows.Quote(l.shown().ID)}
	if before, ok := l.compared(); ok {
		ids = append(ids, rows.Quote(before.ID))
	}
	return ids
}

// enumerate creates enumerations of the strings that repeat, in their order: DuckDB
// stores them as numbers, which compare and sort like the strings. There are too many
// images for an enumeration; they are numbered, in the order of their ids. Collecting
// ids from every label and prediction takes as long as copying these, so it is done
// (thorough) only if one has an id that is not listed elsewhere.
func (l *loader) enumerate(thorough bool) error {
	project := " WHERE project_id = " + rows.Quote(l.page.Project.ID)
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
		// An enumeration needs a value, even in an empty project.
		err := l.run("DROP TYPE IF EXISTS report_"+column,
			"CREATE TYPE report_"+column+" AS ENUM (SELECT text FROM ("+values+" UNION SELECT '') WHERE text IS NOT NULL ORDER BY text)")
		if err != nil {
			return err
		}
	}
	return nil
}

// copyTables replaces the views by tables of the project's rows.
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
		err := l.read("SELECT EXISTS (FROM report_current_predictions"+unlisted+") OR EXISTS (FROM report_current_labels"+unlisted+")", []any{&unknown}, func() {})
		if err != nil {
			return err
		}
		if !unknown {
			break
		}
	}
	region := "NULL::VARCHAR AS region_id"
	if l.hasBoxes() {
		region = "region_id"
	}
	return l.run(
		"ALTER VIEW current_predictions RENAME TO report_predictions",
		"CREATE VIEW current_predictions AS SELECT "+l.projectColumn()+"iteration_id, image_id, prediction_index, tag_id, tag_name, probability"+l.boxes("box_")+" FROM report_current_predictions",
		"CREATE OR REPLACE VIEW current_labels AS SELECT "+l.projectColumn()+"iteration_id, image_id, label_index, tag_id, tag_name, "+region+l.boxes("box_")+" FROM report_current_labels",
		// Only the images that are shown need their addresses.
		"CREATE OR REPLACE VIEW current_images AS SELECT "+l.projectColumn()+"iteration_id, image_id, width, height, NULL::VARCHAR AS image_uri, NULL::VARCHAR AS thumbnail_uri FROM report_current_images",
		"CREATE OR REPLACE VIEW tag_performance AS FROM report_tag_performance",
		"CREATE OR REPLACE VIEW exports AS FROM report_exports",
	)
}

// enumerated converts the columns that have an enumeration to it.
func enumerated(columns string) string {
	for _, c := range []string{"project_id", "iteration_id", "tag_id", "tag_name"} {
		columns = strings.Replace(columns, c, "TRY_CAST("+c+" AS report_"+c+") AS "+c, 1)
	}
	return columns
}

// rows returns the query for the rows of a view that the page needs.
func (l *loader) rows(view string) string {
	box := l.ifBoxes(", box_left, box_top, box_width, box_height")
	project := "project_id = " + rows.Quote(l.page.Project.ID)
	from := func(columns string) string {
		return "SELECT " + strings.Replace(enumerated(columns), "image_id", "number AS image_id", 1) + " FROM " + view + " LEFT JOIN report_image_ids ON id = image_id WHERE " + project
	}
	switch view {
	case "current_predictions":
		// Predictions below every threshold are needed only if they could find a label of
		// the two iterations. The others are wrong, and count in the curves only.
		all := from("iteration_id, image_id, prediction_index, tag_id, tag_name, probability" + box)
		passes := "probability >= " + double(l.page.Thresholds[0])
		parts := []string{all + " AND iteration_id NOT IN (" + l.both() + ") AND " + passes}
		for _, id := range l.bothIDs() {
			parts = append(parts, all+" AND iteration_id = "+id+" AND ("+passes+
				" OR (number, TRY_CAST(tag_id AS report_tag_id)) IN (SELECT (image_id, tag_id) FROM report_current_labels WHERE iteration_id = "+id+"))")
		}
		return strings.Join(parts, " UNION ALL ")
	case "current_labels":
		return from("iteration_id, image_id, label_index, tag_id, tag_name" + l.ifBoxes(", region_id") + box)
	case "current_images":
		return from("iteration_id, image_id, width, height, image_uri, thumbnail_uri") + " AND iteration_id IN (" + l.both() + ")"
	}
	return "FROM " + view + " WHERE " + project
}

// makeFunctions creates the functions over the copies, because over the files DuckDB
// would open each one for each function. Their common parts are materialized, which
// over the whole warehouse would compute every project's.
func (l *loader) makeFunctions() error {
	for _, macro := range schema.Macros() {
		if err := l.run(strings.ReplaceAll(macro, "AS NOT MATERIALIZED", "AS MATERIALIZED")); err != nil {
			return err
		}
	}
	return nil
}

// keepOutcomes evaluates outcomes once, at threshold 0, and replaces it by a selection
// from the result: the predictions that pass the threshold, and the labels that none of
// these finds.
func (l *loader) keepOutcomes() error {
	low := double(l.page.Thresholds[0])
	region, iou := "NULL::VARCHAR", "NULL::DOUBLE"
	if l.hasBoxes() {
		region, iou = "region_id", "iou"
	}
	const common = "iteration_id, image_id, tag_id, tag_name, label_index"
	predicted := common + ", probability, prediction_index" + l.ifBoxes(", region_id, iou, box_left, box_top, box_width, box_height")
	// part selects one kind of outcome.
	part := func(outcome, name, predicted, iou, box, from string) string {
		return "SELECT " + l.projectColumn() + "iteration_id, image_id, '" + outcome + "' AS outcome, tag_id, " + name + " AS tag_name, " + predicted + ", label_index, " +
			region + " AS region_id, " + iou + " AS iou" + l.boxes(box) + " FROM " + from
	}
	const found, none = "probability, prediction_index", "NULL, NULL"
	return l.run(
		// A label that is missed at a threshold has its own name and box, not those of
		// the prediction below the threshold.
		`CREATE TABLE report_outcomes AS
SELECT o.iteration_id, o.image_id, o.outcome, o.tag_id, o.tag_name, o.probability, o.prediction_index, o.label_index, l.tag_name AS label_name`+
			l.ifBoxes(", o.region_id, o.iou, o.box_left, o.box_top, o.box_width, o.box_height, l.box_left AS label_left, l.box_top AS label_top, l.box_width AS label_width, l.box_height AS label_height")+`
FROM outcomes(0.0, `+double(l.page.Overlap)+`) AS o
LEFT JOIN (FROM current_labels WHERE iteration_id IN (`+l.both()+`)) AS l
  ON l.iteration_id = o.iteration_id AND l.image_id = o.image_id AND l.label_index = o.label_index
WHERE o.outcome <> 'false_positive' OR o.probability >= `+low,
		// One table for each outcome: DuckDB compares a constant once, not in every row.
		"CREATE TABLE report_right AS SELECT "+predicted+", label_name"+l.ifBoxes(", label_left, label_top, label_width, label_height")+" FROM report_outcomes WHERE outcome = 'true_positive'",
		"CREATE TABLE report_wrong AS SELECT "+predicted+" FROM report_outcomes WHERE outcome = 'false_positive'",
		"CREATE TABLE report_missed AS SELECT "+common+l.ifBoxes(", region_id, box_left, box_top, box_width, box_height")+" FROM report_outcomes WHERE outcome = 'false_negative'",
		"DROP TABLE report_outcomes",
		"CREATE OR REPLACE MACRO outcomes(probability_threshold, overlap_threshold) AS TABLE "+strings.Join([]string{
			part("true_positive", "tag_name", found, iou, "box_", "report_right WHERE probability >= probability_threshold"),
			part("false_positive", "tag_name", found, iou, "box_", "report_wrong WHERE probability >= probability_threshold"),
			part("false_negative", "tag_name", none, "NULL", "box_", "report_missed"),
			part("false_negative", "label_name", none, "NULL", "label_", "report_right WHERE probability < probability_threshold"),
		}, " UNION ALL "),
	)
}

// keepCurves evaluates precision_recall_curve once. It needs every prediction, and the
// copy lacks some.
func (l *loader) keepCurves() error {
	var every []string
	for _, id := range l.bothIDs() {
		every = append(every, "SELECT "+enumerated("project_id, iteration_id, tag_id, probability")+" FROM report_predictions WHERE project_id = "+rows.Quote(l.page.Project.ID)+" AND iteration_id = "+id)
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

// atEach calls do for every threshold of the slider, several at a time, each with its
// own connection.
func (l *loader) atEach(do func(w warehouse, n int, threshold string) error) error {
	group, ctx := errgroup.WithContext(l.ctx)
	group.SetLimit(connections)
	for n, threshold := range l.page.Thresholds {
		group.Go(func() error {
			conn, err := l.db.Conn(ctx)
			if err != nil {
				return err
			}
			err = do(warehouse{ctx: ctx, conn: conn}, n, double(threshold))
			if err != nil {
				err = fmt.Errorf("at threshold %v: %w", threshold, err)
			}
			return errors.Join(err, conn.Close())
		})
	}
	return group.Wait()
}

// each runs a query at every threshold of the slider, in place of {threshold} and
// {overlap}, and calls use for its rows, in the order of the thresholds. pointers are
// where the columns of a row are scanned to.
func each[Row any](l *loader, query string, pointers func(*Row) []any, use func(threshold int, row Row)) error {
	rows := make([][]Row, len(l.page.Thresholds))
	err := l.atEach(func(w warehouse, n int, threshold string) error {
		var row Row
		text := strings.NewReplacer("{threshold}", threshold, "{overlap}", double(l.page.Overlap)).Replace(query)
		return w.read(text, pointers(&row), func() { rows[n] = append(rows[n], row) })
	})
	if err != nil {
		return err
	}
	for n := range rows {
		for _, row := range rows[n] {
			use(n, row)
		}
	}
	return nil
}

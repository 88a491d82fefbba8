package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/coco"
	"github.com/cvexport/cvexport/internal/analysis/evaluate"
	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/schema"
)

type cocoCommand struct {
	sourceFlags
	project, iteration string
	tags               bool
	format, output     string
}

func newCOCO() *cobra.Command {
	c := &cocoCommand{}
	cmd := &cobra.Command{
		Use:   "coco",
		Short: "Print COCO's twelve numbers of a detector (AP, AP50, AR100 and so on)",
		Long: `Coco judges the boxes of a detector by COCO's rules and prints the twelve numbers by
which detectors are compared: those of pycocotools, to its last digit but rounding.

AP is the mean of the tags' average precisions over the overlaps (IoU) 0.50, 0.55 and
so on to 0.95, AR that of the recalls. Areas are in pixels of the recorded width and
height: small is up to 32 by 32, medium up to 96 by 96. labels is how many labels of
that size there are; without one, value is null.

These are not the figures of cvreport query and of the service, which let a box
compete only for the label that it overlaps most. docs/explanation/evaluation.md says more.

The format table rounds to four digits.`,
		Example: `  cvreport coco
  cvreport coco --project shop --iteration "Iteration 7" --format json
  cvreport coco --warehouse gs://my-bucket/vision --project shop --tags -o coco.csv`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.add(cmd)
	f := cmd.Flags()
	addIteration(f, &c.project, &c.iteration)
	c.completeNames(cmd)
	f.BoolVar(&c.tags, "tags", false, "the numbers of each tag too")
	addOutput(f, &c.format, &c.output)
	return cmd
}

func (c *cocoCommand) run(cmd *cobra.Command) (err error) {
	ctx := cmd.Context()
	format, err := chooseFormat(c.format, c.output, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	source, temp, err := c.source(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close()) }()
	out, err := query.NewOutput(c.output, program.Data(cmd.OutOrStdout()), source.Temp)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	source.Output = out.Folder()
	db, err := source.Open(ctx, schema.Behind("exports", "model_kinds", "current_images", "current_labels", "current_predictions"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	iteration, detector, err := c.evaluate(ctx, db)
	if err != nil {
		return source.Explain(err)
	}
	// As SQL, the numbers are written like those of any query, in any format.
	answer, err := query.Parse(c.sql(iteration, detector, format), false)
	if err != nil {
		return err
	}
	return source.Explain(answer.Run(ctx, db, format, out))
}

// evaluate judges the chosen iteration and returns its id too.
func (c *cocoCommand) evaluate(ctx context.Context, db *sql.DB) (iteration string, _ *evaluate.Detector, err error) {
	project, iterations, at, err := report.Choose(ctx, db, c.project, c.iteration)
	if err != nil {
		return "", nil, err
	}
	chosen := iterations[at]
	what := fmt.Sprintf("project %s, iteration %s (%q)", project.ID, chosen.ID, chosen.Name)
	if !chosen.IsDetector() {
		return "", nil, query.UsageErrorf(`%s is a classifier, and COCO's numbers are of boxes: use cvreport query "FROM average_precision()"`, what)
	}
	d, err := evaluate.COCO(ctx, db, project.ID, chosen.ID)
	if err != nil {
		return "", nil, fmt.Errorf("%s: %w", what, err)
	}
	return chosen.ID, d, nil
}

// sql selects the rows to write.
func (c *cocoCommand) sql(iteration string, d *evaluate.Detector, format query.Format) string {
	var values []string
	add := func(scope, tag string, f coco.Figures) {
		for n, definition := range coco.Definitions {
			value := "NULL"
			if v := f.Values[n]; !math.IsNaN(v) {
				value = strconv.FormatFloat(v, 'e', -1, 64)
			}
			values = append(values, fmt.Sprintf("('%s', %s, '%s', '%s', '%s', %d, %d, %s)",
				scope, tag, definition.Name, definition.Overlap, definition.Area, definition.Detections, f.Labels[n], value))
		}
	}
	add("macro", "NULL, NULL", d.Figures)
	columns := "figure, overlap, area, detections, labels"
	if c.tags {
		columns = "scope, tag_id, tag_name, " + columns
		for _, t := range d.Tags {
			add("tag", rows.Quote(t.ID)+", "+rows.Quote(t.Name), t.Figures)
		}
	}
	value := "value::DOUBLE"
	if format == query.Table {
		value = "round(value::DOUBLE, 4)"
	}
	return fmt.Sprintf(`SELECT %s AS iteration_id, %d::BIGINT AS images, %s, %s AS value
FROM (VALUES %s) AS r(scope, tag_id, tag_name, figure, overlap, area, detections, labels, value)`,
		rows.Quote(iteration), d.Images, columns, value, strings.Join(values, ",\n"))
}

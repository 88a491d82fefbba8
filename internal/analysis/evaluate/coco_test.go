package evaluate_test

import (
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cvexport/cvexport/internal/analysis/coco/cocotest"
	"github.com/cvexport/cvexport/internal/analysis/evaluate"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

var update = flag.Bool("update", false, "write the inputs of the demo's detectors for make_fixtures.py")

// TestMadeUpWarehouses has every case as an iteration of one warehouse. The order of
// rows and of ids is not that of the images and of the service's lists, which counts.
func TestMadeUpWarehouses(t *testing.T) {
	cases := cocotest.Made(t)
	db := warehouseOf(t, cases)
	for _, view := range []string{"current_images", "current_labels", "current_predictions"} { // once, which is faster
		kept := "CREATE TABLE data." + view + " AS FROM " + view + "; CREATE OR REPLACE VIEW " + view + " AS FROM data." + view
		if _, err := db.ExecContext(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
	}
	for n, c := range cases {
		if testing.Short() && n%10 != 0 {
			continue
		}
		d, err := evaluate.COCO(t.Context(), db, "project", iterationID(n))
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		compare(t, c, d, func(id string) int { return int(id[len(id)-1] - '0') })
	}
}

func iterationID(n int) string { return fmt.Sprintf("it's-%d", n) }

// warehouseOf makes a warehouse in memory.
func warehouseOf(t *testing.T, cases []cocotest.Case) *sql.DB {
	t.Helper()
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	insert := func(table, columns string, rows []string) {
		t.Helper()
		slices.Reverse(rows)
		statement := "INSERT INTO data." + table + " BY NAME FROM (VALUES " + strings.Join(rows, ", ") + ") AS r(project_id, iteration_id, " + columns + ")"
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	var exports, images, regions, predictions []string
	for n, c := range cases {
		at := "('project', '" + strings.ReplaceAll(iterationID(n), "'", "''") + "', "
		imageID := func(i int) string { return fmt.Sprintf("'image-%03d'", 999-i) }
		exports = append(exports, at+"'detection')")
		for i, size := range c.Images {
			images = append(images, at+fmt.Sprintf("%s, %d, %d, %d)", imageID(i), i, size[0], size[1]))
		}
		row := func(place int, r cocotest.Row, values string) string {
			for _, side := range r.Box() {
				values += ", " + number(side)
			}
			return at + fmt.Sprintf("%s, %d, 'tag-%d', %s)", imageID(r.Image()), place, r.Tag(), values)
		}
		for i, r := range c.Labels {
			regions = append(regions, row(i, r, "'name'"))
		}
		for i, r := range c.Detections {
			predictions = append(predictions, row(i, r, number(r[2])))
		}
	}
	const box = ", box_left, box_top, box_width, box_height"
	insert("exports", "model_kind", exports)
	insert("images", "image_id, image_index, width, height", images)
	insert("regions", "image_id, region_index, tag_id, tag_name"+box, regions)
	insert("predictions", "image_id, prediction_index, tag_id, probability"+box, predictions)
	return db
}

// number writes a double, and no decimal, which DuckDB would round when it converts it.
func number(v float64) string { return strconv.FormatFloat(v, 'e', -1, 64) }

// compare compares a detector with the answers.
func compare(t *testing.T, c cocotest.Case, d *evaluate.Detector, tag func(id string) int) {
	t.Helper()
	if d.Images != int64(len(c.Images)) {
		t.Errorf("%s: %d images, want %d", c.Name, d.Images, len(c.Images))
	}
	cocotest.Compare(t, c.Name, d.Figures, c.Answers[0])
	labelled := map[int]bool{}
	for _, r := range c.Labels {
		labelled[r.Tag()] = true
	}
	if len(d.Tags) != len(labelled) {
		t.Errorf("%s: %d tags, want %d", c.Name, len(d.Tags), len(labelled))
	}
	for _, found := range d.Tags {
		cocotest.Compare(t, c.Name+", tag "+found.ID, found.Figures, c.Answers[tag(found.ID)+1])
	}
	if got := d.Figures.Labels[0]; got != len(c.Labels) {
		t.Errorf("%s: %d labels, want %d", c.Name, got, len(c.Labels))
	}
}

// demo is a detector of the simulated service, with two iterations.
var demo = simulated.Config{Seed: 1, Kind: simulated.Detection, Images: 300, Iterations: 2}

// TestDemo reads the detectors from the files of an export. The fixture has their
// inputs, so that a change of the simulation does not look like one of the figures.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	service, err := simulated.New(demo)
	if err != nil {
		t.Fatal(err)
	}
	project := service.Projects()[0]
	db := exported.OpenViews(t, exported.Warehouse(t, demo))
	tag := func(id string) int {
		return slices.IndexFunc(project.Tags, func(t simulated.Tag) bool { return t.ID.String() == id })
	}
	var inputs []cocotest.Case
	for _, it := range project.Iterations {
		c := cocotest.Case{Name: "demo, " + it.Name, Tags: len(project.Tags)}
		places := map[string]float64{}
		rows := func(query string, use func(values []any)) {
			t.Helper()
			readRows(t, db, fmt.Sprintf(query, it.ID), use)
		}
		rows("SELECT image_id, width, height FROM images WHERE iteration_id = '%s' ORDER BY image_index", func(v []any) {
			places[v[0].(string)] = float64(len(c.Images))
			c.Images = append(c.Images, [2]int64{int64(v[1].(int32)), int64(v[2].(int32))})
		})
		boxes := func(columns, table, place string, into *[]cocotest.Row) {
			rows("SELECT image_id, tag_id, "+columns+"box_left, box_top, box_width, box_height FROM "+table+" WHERE iteration_id = '%s' ORDER BY image_id, "+place, func(v []any) {
				r := cocotest.Row{places[v[0].(string)], float64(tag(v[1].(string)))}
				for _, f := range v[2:] {
					r = append(r, f.(float64))
				}
				*into = append(*into, r)
			})
		}
		boxes("", "regions", "region_index", &c.Labels)
		boxes("probability, ", "predictions", "prediction_index", &c.Detections)
		inputs = append(inputs, c)
	}
	if *update {
		write(t, inputs)
		return
	}
	kept := cocotest.Demo(t)
	if diff := gocmp.Diff(kept, inputs, cmpopts.IgnoreFields(cocotest.Case{}, "Answers")); diff != "" {
		t.Fatalf("the demo's detectors have changed: run this test with -update, then make_fixtures.py (-kept +now):\n%.2000s", diff)
	}
	for n, c := range kept {
		d, err := evaluate.COCO(t.Context(), db, project.ID.String(), project.Iterations[n].ID.String())
		if err != nil {
			t.Fatal(err)
		}
		compare(t, c, d, tag)
	}
}

func readRows(t *testing.T, db *sql.DB, query string, use func(values []any)) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, pointers := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		pointers[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			t.Fatal(err)
		}
		use(values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, cases []cocotest.Case) {
	t.Helper()
	f, err := os.Create("../coco/cocotest/testdata/demo.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(f)
	if err := errors.Join(json.NewEncoder(z).Encode(map[string]any{"cases": cases}), z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// What cannot be measured in pixels is refused by name; an image without boxes needs no
// size.
func TestBoxesThatCannotBeMeasured(t *testing.T) {
	for _, tc := range []struct{ change, want string }{
		{"UPDATE data.images SET width = NULL WHERE image_index = 1", `image "image-998" has no recorded width and height, without`},
		{"UPDATE data.images SET height = 0", `2 images, the first of them "image-998", have no recorded width and height, without`},
		{"DELETE FROM data.images", `2 images, the first of them "image-998", have no recorded width and height, without`},
		{"UPDATE data.images SET width = NULL, height = NULL WHERE image_index = 2", ""},
		{"UPDATE data.predictions SET box_left = NULL", `image "image-998" has labels or predictions without a box`},
	} {
		db := warehouseOf(t, []cocotest.Case{{
			Images:     [][2]int64{{100, 100}, {100, 100}, {100, 100}},
			Labels:     []cocotest.Row{{0, 0, 0.1, 0.1, 0.5, 0.5}},
			Detections: []cocotest.Row{{1, 0, 0.9, 0.1, 0.1, 0.5, 0.5}},
		}})
		if _, err := db.ExecContext(t.Context(), tc.change); err != nil {
			t.Fatal(err)
		}
		_, err := evaluate.COCO(t.Context(), db, "project", iterationID(0))
		_, boxes := errors.AsType[*evaluate.BoxesError](err)
		if tc.want == "" && err != nil || tc.want != "" && (!boxes || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: error = %v, want %q", tc.change, err, tc.want)
		}
	}
}

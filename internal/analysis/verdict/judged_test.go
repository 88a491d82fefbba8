package verdict

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
)

// TestSimulationJudges compares the cases that the simulation finds fixed and broken with
// those of iteration_changes on the same images.
func TestSimulationJudges(t *testing.T) {
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	execute := func(format string, arguments ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf(format, arguments...)); err != nil {
			t.Fatalf("%.300s: %v", fmt.Sprintf(format, arguments...), err)
		}
	}
	for n, w := range worlds {
		project := fmt.Sprint("p", n)
		kind, labels, index := "classification", "tags", "tag_index"
		if w.boxes {
			kind, labels, index = "detection", "regions", "region_index"
		}
		var images, predictions, truths []string
		var want []Image
		r := rand.New(rand.NewPCG(uint64(n), 7))
		var sum outcome
		for i := range 200 {
			p := w.picture(r, 0.5)
			o := w.outcome(p)
			sum.add(o.counts)
			if o.Image != (Image{}) {
				want = append(want, o.Image)
			}
			for m, iteration := range []string{"before", "after"} {
				images = append(images, fmt.Sprintf("('%s', '%s', 'e', 'i%d')", project, iteration, i))
				for n, l := range p.labels {
					truths = append(truths, fmt.Sprintf("('%s', '%s', 'e', 'i%d', %d, '%d', 'r%d-%d', %v, %v, %v, %v)", project, iteration, i, n, l.tag, i, n, l.box.left, l.box.top, l.box.width, l.box.height))
				}
				for n, x := range p.predictions[m] {
					predictions = append(predictions, fmt.Sprintf("('%s', '%s', 'e', 'i%d', %d, '%d', %v::DOUBLE, %v, %v, %v, %v)", project, iteration, i, n, x.tag, x.probability, x.box.left, x.box.top, x.box.width, x.box.height))
				}
			}
		}
		box, region := "", ""
		if w.boxes {
			box, region = ", box_left, box_top, box_width, box_height", ", region_id"
		}
		execute("INSERT INTO data.exports BY NAME SELECT '%s' AS project_id, iteration_id, 'e' AS export_id, '%s' AS model_kind FROM (VALUES ('before'), ('after')) AS v(iteration_id)", project, kind)
		execute("INSERT INTO data.images BY NAME SELECT * FROM (VALUES %s) AS v(project_id, iteration_id, export_id, image_id)", strings.Join(images, ", "))
		execute("INSERT INTO data.predictions BY NAME SELECT project_id, iteration_id, export_id, image_id, prediction_index, tag_id, probability%s FROM (VALUES %s) AS v(project_id, iteration_id, export_id, image_id, prediction_index, tag_id, probability, box_left, box_top, box_width, box_height)", box, strings.Join(predictions, ", "))
		execute("INSERT INTO data.%s BY NAME SELECT project_id, iteration_id, export_id, image_id, place AS %s, tag_id%s FROM (VALUES %s) AS v(project_id, iteration_id, export_id, image_id, place, tag_id, region_id, box_left, box_top, box_width, box_height)", labels, index, region+box, strings.Join(truths, ", "))
		rows, err := db.QueryContext(t.Context(), Query(fmt.Sprintf("iteration_changes('%s', 'before', 'after', %v, %v)", project, threshold, overlap)))
		if err != nil {
			t.Fatal(err)
		}
		var got []Image
		for rows.Next() {
			var i Image
			if err := rows.Scan(&i.Fixed, &i.Broken); err != nil {
				t.Fatal(err)
			}
			got = append(got, i)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		order := func(a, b Image) int { return (a.Fixed-b.Fixed)*1000 + a.Broken - b.Broken }
		slices.SortFunc(got, order)
		slices.SortFunc(want, order)
		if !slices.Equal(got, want) || len(want) < 20 {
			t.Errorf("%s: iteration_changes has %v, the simulation %v", w.name, got, want)
		}
		f1 := make([]float64, 2)
		if err := db.QueryRowContext(t.Context(), fmt.Sprintf("SELECT before_f1, after_f1 FROM comparison('%s', 'before', 'after', %v, %v) WHERE scope = 'micro'", project, threshold, overlap)).Scan(&f1[0], &f1[1]); err != nil {
			t.Fatal(err)
		}
		if want := []float64{sum.counts[0].f1(), sum.counts[1].f1()}; !slices.Equal(f1, want) {
			t.Errorf("%s: F1 is %v, of the simulation %v", w.name, f1, want)
		}
	}
}

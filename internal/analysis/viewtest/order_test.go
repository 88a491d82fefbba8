package viewtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// The order in which a database reads rows is nobody's promise. No view hangs on it: no
// place, tie or threshold changes with the last digit of a sum.
func TestOrderOfRowsDoesNotMatter(t *testing.T) {
	root := t.TempDir()
	for _, kind := range []simulated.Kind{simulated.Detection, simulated.Multilabel, simulated.Multiclass} {
		exportSimulated(t, root, simulated.Config{Kind: kind, Images: 60, Iterations: 2}, thresholds{0.5, 0.3})
	}
	db := exported.Open(t, root)
	exported.InMemory(t, db)
	w := readWarehouse(t, db)
	// Probabilities like many models': few digits, so that sums of several are equal.
	execute(t, db, "UPDATE data.predictions SET probability = round(probability, 1)")

	execute(t, db, "UPDATE data.tags SET export_id = 'another' WHERE tag_index = 0") // else export_health has no row

	answers := func() map[string]result {
		all := map[string]result{}
		for _, v := range schema.Views() {
			of := w.places(w.exports[0].ProjectID)
			text := "SELECT * FROM " + call(v, arguments{0.1, 0.3, of[0], of[1]})
			all[text] = rowsOf(t, db, text)
		}
		return all
	}
	want := answers()
	orders := []string{"rowid DESC"}
	shuffles := 3
	if testing.Short() {
		shuffles = 1
	}
	for range shuffles {
		orders = append(orders, fmt.Sprintf("hash(rowid + %d)", rand.Uint32()))
	}
	for _, order := range orders {
		for _, table := range schema.Tables() {
			execute(t, db, fmt.Sprintf("CREATE OR REPLACE TABLE data.%[1]s AS FROM data.%[1]s ORDER BY %[2]s", table.Name, order))
		}
		for text, got := range answers() {
			sortRows(got.rows)
			sortRows(want[text].rows)
			if len(got.rows) == 0 || !slices.EqualFunc(got.rows, want[text].rows, sameRow) {
				t.Errorf("%s has other rows if the tables are read in the order %s", text, order)
			}
		}
	}
}

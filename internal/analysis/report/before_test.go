package report

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
)

// TestWrongBefore compares the boxes of the iteration before with what outcomes says is
// wrong of it, for each tag of an image that a list has as fixed.
func TestWrongBefore(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Seed: 4, Kind: simulated.Detection, Images: 150, Iterations: 3})
	page := loadPage(t, root, Options{})
	db := exported.Open(t, root)
	exported.InMemory(t, db)
	var fixed []string
	for _, c := range page.Changes {
		for _, line := range c.Fixed {
			fixed = append(fixed, fmt.Sprintf("('%s', '%s')", page.Images[line[0].(int)].ID, page.Tags[line[1].(int)].ID))
		}
	}
	var boxes [][]any
	for _, i := range page.Images {
		for _, p := range i.Before {
			boxes = append(boxes, []any{i.ID, page.Tags[p[0].(int)].ID, p[1]})
		}
	}
	got := texts(t, boxes)
	slices.Sort(got)
	want := rowsOf(t, db, fmt.Sprintf(`SELECT image_id, tag_id, probability FROM outcomes(CAST(%v AS DOUBLE), CAST(%v AS DOUBLE))
SEMI JOIN (VALUES %s) AS f(image_id, tag_id) USING (image_id, tag_id) WHERE outcome = 'false_positive' AND iteration_id = '%s'`,
		page.Thresholds[0], page.Overlap, strings.Join(fixed, ", "), page.Iterations[page.Compared].ID))
	slices.Sort(want)
	if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("%d boxes (-outcomes +page):\n%s", len(want), diff)
	}
}

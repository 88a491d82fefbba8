package viewtest

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
)

// plain is what a threshold alone would list, the surest first: predictions that
// find no label, and a multi-label classifier's labels that it does not see.
const plain = `
SELECT image_id, prediction_index, tag_id, CASE WHEN iou > 0 THEN label_index END, probability AS sure
FROM outcomes(%[1]v, 0.5) WHERE outcome = 'false_positive' AND (label_index IS NULL OR iou < 0.5)
UNION ALL
SELECT l.image_id, NULL, l.tag_id, l.label_index, 1 - COALESCE(p.probability, 0)
FROM current_labels AS l LEFT JOIN current_predictions AS p USING (image_id, tag_id)
WHERE '%[2]v' = 'Multilabel' AND 1 - COALESCE(p.probability, 0) >= %[1]v
ORDER BY sure DESC, image_id, prediction_index, label_index`

const ranked = `
SELECT image_id, prediction_index, COALESCE(predicted_tag_id, labelled_tag_id), label_index, score FROM label_suspects() ORDER BY place`

// finding is how well a list finds what was planted.
type finding struct {
	at50   float64 // the share of the first 50 rows that find an error
	recall float64 // the share of the errors that as many rows find as there are errors
	length int     // of the whole list
	whole  float64 // the share of the errors that the whole list finds
}

// measure reads a list and compares it with what was planted. A row finds an error if
// it names the wrong label, or a prediction of what should be labelled there; a
// second row about the same error finds nothing.
func (w *world) measure(t *testing.T, db *sql.DB, query string, errors []planted, labels []object) (f finding) {
	t.Helper()
	predictions := map[[2]int]seen{}
	for _, p := range w.predictions {
		predictions[[2]int{p.image, p.index}] = p
	}
	byImage := map[int][]int{}
	for i, e := range errors {
		byImage[e.truth.image] = append(byImage[e.truth.image], i)
	}
	found := map[int]bool{}
	rows := rowsOf(t, db, query).rows
	for n, row := range rows {
		var image, tag int
		fmt.Sscanf(row[0].(string), "%d", &image)
		fmt.Sscanf(row[2].(string), "t%d", &tag)
		for _, i := range byImage[image] {
			e, hit := errors[i], false
			if index, ok := row[3].(int32); ok {
				hit = !e.absent && labels[index] == e.label
			}
			if index, ok := row[1].(int32); ok && !hit && e.truth.tag == tag && e.truth != e.label || ok && e.absent && e.truth.tag == tag {
				iou, _ := intersectionOverUnion(boxOf(predictions[[2]int{image, int(index)}].box), boxOf(e.truth.box))
				hit = w.kind != "detection" || iou >= 0.5
			}
			if hit && !found[i] {
				found[i] = true
				break
			}
		}
		if n == 49 {
			f.at50 = float64(len(found)) / 50
		}
		if n == len(errors)-1 {
			f.recall = float64(len(found)) / float64(len(errors))
		}
	}
	f.length, f.whole = len(rows), float64(len(found))/float64(len(errors))
	if f.length < 50 {
		f.at50 = float64(len(found)) / 50
	}
	if f.length < len(errors) {
		f.recall = f.whole
	}
	return f
}

func TestSuspectsRanking(t *testing.T) {
	if testing.Short() {
		t.Skip("a long simulation")
	}
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	const seeds = 3
	sum := map[string]*[3]finding{}
	var order []string
	for seed := range uint64(seeds) {
		for _, w := range []*world{newClassifierWorld("Multiclass", seed), newClassifierWorld("Multilabel", seed), newDetectorWorld(seed)} {
			w.load(t, db)
			for _, kind := range map[string][]string{"Multiclass": {"swapped"}, "Multilabel": {"overlooked", "superfluous"}, "detection": {"overlooked", "swapped", "badly placed"}}[w.kind] {
				for _, share := range []float64{0.02, 0.05, 0.1} {
					labels, errors := w.plant(rand.New(rand.NewPCG(seed, 9)), kind, share)
					w.label(t, db, labels)
					name := fmt.Sprintf("%s %s %v", w.kind, kind, share)
					if sum[name] == nil {
						sum[name] = &[3]finding{}
						order = append(order, name)
					}
					for i, q := range []string{ranked, fmt.Sprintf(plain, 0.5, w.kind), fmt.Sprintf(plain, 0.9, w.kind)} {
						f := w.measure(t, db, q, errors, labels)
						s := &sum[name][i]
						s.at50 += f.at50 / seeds
						s.recall += f.recall / seeds
						s.whole += f.whole / seeds
						s.length += f.length / seeds
					}
				}
			}
		}
	}
	for _, name := range order {
		line := fmt.Sprintf("%-30s", name)
		for _, f := range sum[name] {
			line += fmt.Sprintf(" | %.2f %.2f (%.2f of %d)", f.at50, f.recall, f.whole, f.length)
		}
		t.Log(line)
	}
}

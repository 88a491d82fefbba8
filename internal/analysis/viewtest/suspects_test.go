package viewtest

import (
	"database/sql"
	"fmt"
	"testing"
)

// plain is what a threshold alone would list, the surest first: mistakes at the
// threshold, a label that a multi-label classifier denies included.
const plain = `
SELECT image_id, CASE WHEN mistake = 'confused' THEN 'swapped' WHEN label_index IS NULL THEN 'overlooked' ELSE 'badly_placed' END AS kind,
  predicted_tag_id AS tag, prediction_index, label_index, probability AS sure
FROM mistakes(%[1]v, 0.5) WHERE '%[2]s' <> 'Multilabel' AND mistake <> 'missed' AND (label_index IS NULL OR mistake = 'confused' OR iou < 0.5)
UNION ALL
SELECT image_id, 'overlooked', tag_id, prediction_index, NULL, probability
FROM outcomes(%[1]v, 0.5) WHERE '%[2]s' = 'Multilabel' AND outcome = 'false_positive'
UNION ALL
SELECT l.image_id, 'superfluous', l.tag_id, NULL, l.label_index, 1 - COALESCE(p.probability, 0)
FROM current_labels AS l LEFT JOIN current_predictions AS p USING (image_id, tag_id)
WHERE '%[2]s' = 'Multilabel' AND 1 - COALESCE(p.probability, 0) >= %[1]v
ORDER BY sure DESC, image_id, kind, label_index, prediction_index`

const ranked = `
SELECT image_id, kind, COALESCE(predicted_tag_id, labelled_tag_id) AS tag, prediction_index, label_index, score FROM label_suspects() ORDER BY place`

// hits says of each row of a list which error it finds, from 0, or -1: it names the wrong
// label, or a box or tag that should be labelled.
func (w *world) hits(t *testing.T, db *sql.DB, rows [][]any, errors []planted, labels []object) (all []int) {
	t.Helper()
	predictions, byImage := map[[2]int]seen{}, map[int][]int{}
	for _, p := range w.predictions {
		predictions[[2]int{p.image, p.index}] = p
	}
	for i, e := range errors {
		byImage[e.truth.image] = append(byImage[e.truth.image], i)
	}
	for _, row := range rows {
		var image, tag int
		fmt.Sscanf(row[0].(string)+" "+row[2].(string), "%d t%d", &image, &tag)
		which := -1
		for _, i := range byImage[image] {
			e := errors[i]
			if index, ok := row[4].(int32); ok && labels[index] == e.label {
				which = i
			}
			if index, ok := row[3].(int32); ok && e.kind != "superfluous" && tag == e.truth.tag {
				p := predictions[[2]int{image, int(index)}]
				if iou, _ := intersectionOverUnion(boxOf(p.box), boxOf(e.truth.box)); w.kind != "detection" || iou >= 0.5 {
					which = i
				}
			}
		}
		all = append(all, which)
	}
	return all
}

package viewtest

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"database/sql"
)

// A made-up model and the true labels that it was tested on, for [TestSuspectsRanking]. How
// they are drawn stands in docs/explanation/evaluation.md, "Label suspects".
type world struct {
	kind        string // Multiclass, Multilabel or detection
	tags        int
	truth       []object
	predictions []seen
	images      int
}

// object is a label that is right: a tag of an image, and a detector's box.
type object struct {
	image, tag int
	box        [4]float64 // left, top, width, height
}

// seen is a prediction; index is its place among the image's.
type seen struct {
	image, index, tag int
	probability       float64
	box               [4]float64
}

const listed = 0.001 // predictions below it are not listed

// tagModel is how the model sees one tag.
type tagModel struct {
	separation   float64 // between the evidence where the tag is and where it is not, in standard deviations
	slope, shift float64 // of the log odds that it reports: 1 and 0 would be well calibrated
	sloppiness   float64 // of its boxes, in widths and heights
	confused     float64 // how often it sees another tag in its place
}

func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }

func newTagModels(r *rand.Rand, n int) []tagModel {
	tags := make([]tagModel, n)
	for i := range tags {
		tags[i] = tagModel{between(r, 3, 5), between(r, 0.5, 1.5), between(r, -2, 2), between(r, 0.02, 0.08), between(r, 0, 0.1)}
	}
	return tags
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// report is the probability that the model reports for evidence.
func (t tagModel) report(evidence, prior float64) float64 {
	odds := t.separation*(evidence-t.separation/2) + math.Log(prior/(1-prior)) // by Bayes, of two normal distributions
	return sigmoid(t.slope*odds + t.shift)
}

// spread is the standard deviation of an image's evidence: one image in ten is hard.
func spread(r *rand.Rand) float64 {
	if r.IntN(10) == 0 {
		return 2
	}
	return 1
}

func newClassifierWorld(kind string, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 7))
	w := &world{kind: kind, tags: 20, images: 5000}
	models := newTagModels(r, w.tags)
	for image := range w.images {
		has := map[int]bool{r.IntN(w.tags): true}
		for kind == "Multilabel" && len(has) < 4 && r.IntN(2) == 0 {
			has[r.IntN(w.tags)] = true
		}
		noise := spread(r)
		var all []seen
		var sum float64
		for tag, m := range models {
			evidence := noise * r.NormFloat64()
			if has[tag] {
				evidence += m.separation
				w.truth = append(w.truth, object{image: image, tag: tag})
			}
			p := m.report(evidence, 0.1)
			if kind == "Multiclass" {
				p /= 1 - p // odds, to be shared out: softmax
				sum += p
			}
			all = append(all, seen{image: image, tag: tag, probability: p})
		}
		if kind == "Multiclass" {
			for i := range all {
				all[i].probability /= sum
			}
		}
		w.list(all)
	}
	return w
}

// list adds an image's predictions as the service lists them, the surest first.
func (w *world) list(all []seen) {
	slices.SortFunc(all, func(a, b seen) int {
		return cmp.Or(cmp.Compare(b.probability, a.probability), cmp.Compare(a.tag, b.tag))
	})
	index := 0
	for _, p := range all {
		if p.probability >= listed {
			p.index = index
			w.predictions = append(w.predictions, p)
			index++
		}
	}
}

func newDetectorWorld(seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 8))
	w := &world{kind: "detection", tags: 12, images: 2500}
	models := newTagModels(r, w.tags)
	place := func() [4]float64 {
		width, height := between(r, 0.08, 0.3), between(r, 0.08, 0.3)
		return [4]float64{r.Float64() * (1 - width), r.Float64() * (1 - height), width, height}
	}
	for image := range w.images {
		var all []seen
		noise := spread(r)
		see := func(tag int, separation float64, box [4]float64, sloppiness float64) {
			p := models[tag].report(separation+noise*r.NormFloat64(), 0.5)
			all = append(all, seen{image: image, tag: tag, probability: p, box: [4]float64{
				box[0] + sloppiness*box[2]*r.NormFloat64(), box[1] + sloppiness*box[3]*r.NormFloat64(),
				box[2] * math.Exp(sloppiness*r.NormFloat64()), box[3] * math.Exp(sloppiness*r.NormFloat64()),
			}})
		}
		for range 1 + r.IntN(5) {
			o := object{image, r.IntN(w.tags), place()}
			w.truth = append(w.truth, o)
			m := models[o.tag]
			if r.Float64() < m.confused { // it cannot tell the tag from the next one
				see((o.tag+1)%w.tags, m.separation/2, o.box, m.sloppiness)
				see(o.tag, m.separation/2, o.box, m.sloppiness)
			} else {
				see(o.tag, m.separation, o.box, m.sloppiness)
			}
			if r.IntN(7) == 0 { // a second, sloppy box
				see(o.tag, m.separation*0.6, o.box, 0.25)
			}
		}
		for range r.IntN(5) { // boxes where there is nothing
			see(r.IntN(w.tags), between(r, -1, 1.5), place(), 0)
		}
		w.list(all)
	}
	return w
}

// planted is an error: a label that is wrong now, and what it should be.
type planted struct {
	kind         string
	label, truth object // of an overlooked one, and of a superfluous one, the same
}

// kinds are the kinds of errors that can be planted.
func (w *world) kinds() []string {
	return map[string][]string{"Multiclass": {"swapped"}, "Multilabel": {"overlooked", "superfluous"}, "detection": {"overlooked", "swapped", "badly_placed"}}[w.kind]
}

// plant makes errors of each kind at as many labels, this share of all.
func (w *world) plant(r *rand.Rand, share float64) (labels []object, errors []planted) {
	n := int(math.Round(share * float64(len(w.truth))))
	chosen, has := map[int]string{}, map[[2]int]bool{}
	for i, at := range r.Perm(len(w.truth))[:n*len(w.kinds())] {
		chosen[at] = w.kinds()[i/n]
	}
	for _, o := range w.truth {
		has[[2]int{o.image, o.tag}] = true
	}
	for i, o := range w.truth {
		wrong := o
		switch chosen[i] {
		case "overlooked":
			errors = append(errors, planted{"overlooked", o, o})
			continue
		case "swapped": // for any other tag
			wrong.tag = (o.tag + 1 + r.IntN(w.tags-1)) % w.tags
			errors = append(errors, planted{"swapped", wrong, o})
		case "badly_placed": // moved and stretched until the overlap is between a tenth and a half
			for iou := 0.0; iou <= 0.1 || iou >= 0.5; iou, _ = intersectionOverUnion(boxOf(wrong.box), boxOf(o.box)) {
				wrong.box = [4]float64{
					o.box[0] + o.box[2]*between(r, -0.6, 0.6), o.box[1] + o.box[3]*between(r, -0.6, 0.6),
					o.box[2] * between(r, 0.6, 1.6), o.box[3] * between(r, 0.6, 1.6),
				}
			}
			errors = append(errors, planted{"badly_placed", wrong, o})
		case "superfluous": // beside the right one
			for has[[2]int{o.image, wrong.tag}] {
				wrong.tag = r.IntN(w.tags)
			}
			has[[2]int{o.image, wrong.tag}] = true
			errors = append(errors, planted{"superfluous", wrong, wrong})
			labels = append(labels, o)
		}
		labels = append(labels, wrong)
	}
	return labels, errors
}

func boxOf(b [4]float64) box { return box{&b[0], &b[1], &b[2], &b[3]} }

// load puts a world's predictions and images into the tables.
func (w *world) load(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, table := range []string{"images", "predictions", "exports", "tags", "regions", "tag_performance"} {
		execute(t, db, "TRUNCATE data."+table)
	}
	execute(t, db, fmt.Sprintf("INSERT INTO data.images BY NAME SELECT 'p' AS project_id, 'i' AS iteration_id, 'e' AS export_id, format('{:05}', i) AS image_id FROM range(%d) AS r(i)", w.images))
	kind := "'classification' AS model_kind, '" + w.kind + "' AS classification_type"
	if w.kind == "detection" {
		kind = "'detection' AS model_kind, 'Multilabel' AS classification_type"
	}
	execute(t, db, "INSERT INTO data.exports BY NAME SELECT 'p' AS project_id, 'i' AS iteration_id, 'e' AS export_id, "+kind)
	var rows []string
	for _, p := range w.predictions {
		rows = append(rows, fmt.Sprintf("%05d,%d,t%02d,%v,%s", p.image, p.index, p.tag, p.probability, w.boxText(p.box)))
	}
	insert(t, db, "predictions", "image_id: 'VARCHAR', prediction_index: 'INTEGER', tag_id: 'VARCHAR', probability: 'DOUBLE'", rows)
}

// label puts labels into the tables, in place of those that were there.
func (w *world) label(t *testing.T, db *sql.DB, labels []object) {
	t.Helper()
	table, column := "tags", "tag_index: 'INTEGER'"
	if w.kind == "detection" {
		table, column = "regions", "region_index: 'INTEGER', region_id: 'VARCHAR'"
	}
	execute(t, db, "TRUNCATE data."+table)
	var rows []string
	for i, o := range labels {
		id := fmt.Sprint(i)
		if w.kind == "detection" {
			id += fmt.Sprintf(",r%d", i)
		}
		rows = append(rows, fmt.Sprintf("%05d,t%02d,%s,%s", o.image, o.tag, id, w.boxText(o.box)))
	}
	insert(t, db, table, "image_id: 'VARCHAR', tag_id: 'VARCHAR', "+column, rows)
}

func (w *world) boxText(b [4]float64) string {
	if w.kind != "detection" {
		return ",,,"
	}
	return fmt.Sprintf("%v,%v,%v,%v", b[0], b[1], b[2], b[3])
}

func insert(t *testing.T, db *sql.DB, table, columns string, rows []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rows.csv")
	if err := os.WriteFile(file, []byte(strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	boxes := ", box_left: 'DOUBLE', box_top: 'DOUBLE', box_width: 'DOUBLE', box_height: 'DOUBLE'"
	if table == "tags" {
		execute(t, db, fmt.Sprintf("INSERT INTO data.%s BY NAME SELECT 'p' AS project_id, 'i' AS iteration_id, 'e' AS export_id, * EXCLUDE (box_left, box_top, box_width, box_height) FROM read_csv('%s', header = false, columns = {%s%s})", table, file, columns, boxes))
		return
	}
	execute(t, db, fmt.Sprintf("INSERT INTO data.%s BY NAME SELECT 'p' AS project_id, 'i' AS iteration_id, 'e' AS export_id, * FROM read_csv('%s', header = false, columns = {%s%s})", table, file, columns, boxes))
}

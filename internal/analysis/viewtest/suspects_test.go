package viewtest

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
)

var update = flag.Bool("update", false, "write the table of docs/explanation/evaluation.md")

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

// ranked is what label_suspects lists.
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

// finding is how well a list finds what was planted.
type finding struct {
	precision float64 // the share of the first 50 rows that find an error
	recall    float64 // the share of the errors that the first rows find, as many rows as there are errors
}

// find measures a list by its hits, where n errors were planted. A second row about an
// error finds nothing new.
func find(hits []int, n int) (f finding) {
	found := map[int]bool{}
	for i, hit := range hits {
		if hit >= 0 && !found[hit] {
			found[hit] = true
			if i < 50 {
				f.precision += 1.0 / 50
			}
			if i < n {
				f.recall += 1 / float64(n)
			}
		}
	}
	return f
}

// label_suspects is ahead of plain thresholds in what a person looks at first, on average
// over several worlds of each kind: make faults shows that, and that the table in
// docs/explanation/evaluation.md has the figures. Elsewhere those of one world are compared
// with what they were then.
func TestSuspectsRanking(t *testing.T) {
	if testing.Short() {
		t.Skip("a long simulation")
	}
	if *update || os.Getenv("CVEXPORT_FAULTS") == "long" {
		rankSuspects(t, 8, true, "../../../docs/explanation/evaluation.md")
	}
	rankSuspects(t, 1, false, "testdata/suspects.md")
}

// rankSuspects plants errors in several worlds of each kind, and compares the table of what
// is found with the one in a file.
func rankSuspects(t *testing.T, worlds int, ahead bool, file string) {
	t.Helper()
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	type line struct {
		model, kind string
		share       float64
	}
	var lines []line
	sum := map[line]*[3]finding{} // label_suspects, 0.5, 0.9
	for seed := range uint64(worlds) {
		for _, w := range []*world{newClassifierWorld("Multiclass", seed), newClassifierWorld("Multilabel", seed), newDetectorWorld(seed)} {
			w.load(t, db)
			kinds := w.kinds()
			if len(kinds) > 1 {
				kinds = append([]string{"all"}, kinds...)
			}
			for _, share := range []float64{0.02, 0.05, 0.1} {
				labels, errors := w.plant(rand.New(rand.NewPCG(seed, 9)), share)
				w.label(t, db, labels)
				for i, query := range []string{ranked, fmt.Sprintf(plain, 0.5, w.kind), fmt.Sprintf(plain, 0.9, w.kind)} {
					rows := rowsOf(t, db, query).rows
					hits := w.hits(t, db, rows, errors, labels)
					for _, kind := range kinds {
						n, of := 0, []int{}
						for _, e := range errors {
							if kind == "all" || e.kind == kind {
								n++
							}
						}
						for at, row := range rows {
							if kind == "all" || row[1] == kind {
								of = append(of, hits[at])
							}
						}
						l, f := line{w.kind, kind, share}, find(of, n)
						if sum[l] == nil {
							sum[l] = &[3]finding{}
							lines = append(lines, l)
						}
						sum[l][i].precision += f.precision / float64(worlds)
						sum[l][i].recall += f.recall / float64(worlds)
					}
				}
			}
		}
	}
	var table strings.Builder
	table.WriteString("| model | errors | share | label_suspects | from 0.5 | from 0.9 |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, l := range lines {
		s := sum[l]
		fmt.Fprintf(&table, "| %s | %s | %v %% | %.2f, %.2f | %.2f, %.2f | %.2f, %.2f |\n", strings.ToLower(l.model), strings.ReplaceAll(l.kind, "_", " "), 100*l.share,
			s[0].precision, s[0].recall, s[1].precision, s[1].recall, s[2].precision, s[2].recall)
		for i, name := range []string{"0.5", "0.9"} {
			// In the lists of one kind, chance decides about a hundredth or two.
			slack := 0.0
			if l.kind != "all" {
				slack = 0.02
			}
			if other := s[i+1]; ahead && (s[0].precision < other.precision-slack || s[0].recall < other.recall-slack) {
				t.Errorf("%v: label_suspects %.3f, a threshold of %s %.3f", l, s[0], name, other)
			}
		}
	}
	const begin, end = "<!-- suspects: written by go test ./internal/analysis/viewtest -run SuspectsRanking -update -->\n\n", "\n<!-- end of suspects -->"
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	old, after, alsoOK := strings.Cut(rest, end)
	if !ok || !alsoOK {
		t.Fatalf("%s has no place for the table", file)
	}
	if old == table.String() {
		return
	}
	if !*update {
		t.Fatalf("the table of %s is not what comes out (run with -update to write it):\n%s", file, table.String())
	}
	if err := os.WriteFile(file, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

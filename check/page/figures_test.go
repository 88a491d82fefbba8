package page

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// figures compares every figure on the page with the views at a threshold.
func figures(b *tab, v *views, threshold float64) {
	b.Helper()
	v.threshold = threshold
	for _, part := range []func(*tab, *views){tiles, tagsTable, trendTable, confusionTables, changesTable, sharedTable, changedTables, hardestTable, suspectsTable, cocoTable, flow, trendChart, curve, pictures} {
		part(b, v)
	}
	if b.Failed() {
		b.Fatalf("at threshold %v", threshold)
	}
}

const counts = "true_positives + false_negatives, true_positives, false_positives, false_negatives, precision, recall, f1"

func tiles(b *tab, v *views) {
	b.Helper()
	of := func(id string) []any {
		return v.one(`SELECT m.precision, m.recall, m.f1, a.average_precision, e.images, e.precision, e.recall, e.average_precision, m.labels
FROM tag_metrics{at} AS m JOIN average_precision{overlap} AS a USING (project_id, iteration_id, scope) JOIN exports AS e USING (project_id, iteration_id)
WHERE scope = 'macro' AND iteration_id = ` + id)
	}
	now, before := of("{shown}"), of("{before}")
	// The headline shows the micro averages: the iteration's on its own images, and what
	// has changed on the images that both judged.
	copy(now, v.one("SELECT precision, recall, f1 FROM tag_metrics{at} WHERE scope = 'micro' AND iteration_id = {shown}"))
	both := v.one("SELECT before_precision, before_recall, before_f1, after_precision, after_recall, after_f1, images FROM {comparison} WHERE scope = 'micro'")
	fromTo := func(n int) string { return "(" + percent(both[n]) + " → " + percent(both[n+3]) + ")" }
	shown := read[map[string]string](b, `Object.fromEntries([...document.querySelectorAll("#tiles > *")].map((t) => [t.querySelector("dt").textContent, t.textContent]))`)
	for title, wants := range map[string][]string{
		"Precision": {percent(now[0]), change(both[3], both[0], 100, 1), fromTo(0), percent(now[5])},
		"Recall":    {percent(now[1]), change(both[4], both[1], 100, 1), fromTo(1), percent(now[6])},
		"F1":        {percent(now[2]), change(both[5], both[2], 100, 1), fromTo(2)},
		"mAP":       {percent(now[3]), change(now[3], before[3], 100, 1), percent(now[7])},
		"Images":    {whole(now[4]), change(now[4], before[4], 1, 0), whole(now[8])},
	} {
		for _, want := range wants {
			if !strings.Contains(shown[title], want) {
				b.Errorf("%s: the page says %q, without %s", title, shown[title], want)
			}
		}
	}
}

// sharedTable checks the figures of both iterations on the images that both judged.
func sharedTable(b *tab, v *views) {
	b.Helper()
	var want []line
	for _, r := range v.ask(`SELECT CASE scope WHEN 'tag' THEN c.tag_name WHEN 'micro' THEN 'All cases (micro)' ELSE 'Mean of tags (macro)' END,
before_precision, after_precision, before_recall, after_recall, before_f1, after_f1 FROM {comparison} AS c`) {
		want = append(want, line{
			"Tag": r[0].(string), "Precision before": percent(r[1]), "Precision now": percent(r[2]), "Recall before": percent(r[3]), "Recall now": percent(r[4]),
			"F1 before": percent(r[5]), "F1 now": percent(r[6]), "F1 changed": change(r[6], r[5], 100, 1),
		})
	}
	compare(b, "figures of both", cells(b, "shared-table"), want, false)
	images := whole(v.one("SELECT images FROM {comparison} WHERE scope = 'micro'")[0]) + " images that both judged"
	for _, selector := range []string{"#headline-lead", "#headline-images", "#tags-lead", "#shared-summary", "#changes-lead"} {
		if said := read[string](b, `document.querySelector(`+quoted(selector)+`).textContent`); !strings.Contains(said, images) {
			b.Errorf("%s says %q, without the %s", selector, said, images)
		}
	}
}

func tagsTable(b *tab, v *views) {
	b.Helper()
	var want []line
	for _, r := range v.ask(`
WITH now AS (SELECT scope, tag_id, tag_name, ` + counts + `, service_precision, service_recall FROM tag_metrics{at} WHERE iteration_id = {shown}),
both_on AS (SELECT tag_id, before_f1, after_f1 FROM {comparison} WHERE scope = 'tag')
SELECT now.* EXCLUDE (scope, tag_id), both_on.before_f1, both_on.after_f1, a.average_precision, b.probability_threshold, b.f1, a.service_average_precision
FROM now LEFT JOIN both_on USING (tag_id) LEFT JOIN (FROM average_precision{overlap} WHERE iteration_id = {shown}) AS a USING (tag_id)
LEFT JOIN (FROM best_threshold{overlap} WHERE iteration_id = {shown}) AS b USING (tag_id) WHERE now.scope = 'tag'`) {
		want = append(want, line{
			"Tag": r[0].(string), "Labels": whole(r[1]), "Right": whole(r[2]), "Wrong": whole(r[3]), "Missed": whole(r[4]),
			"Precision": percent(r[5]), "Recall": percent(r[6]), "F1": percent(r[7]), "Service's precision": percent(r[8]), "Service's recall": percent(r[9]),
			"F1 changed": change(r[11], r[10], 100, 1), "AP": percent(r[12]), "Best threshold": probability(r[13]), "F1 there": percent(r[14]), "Service's AP": percent(r[15]),
		})
	}
	if len(want) == 0 {
		b.Error("there is no tag")
	}
	isTag := func(l line) bool {
		return slices.ContainsFunc(want, func(w line) bool { return w["Tag"] == l["Tag"] })
	}
	all := cells(b, "tags-table")
	compare(b, "tags", slices.DeleteFunc(slices.Clone(all), func(l line) bool { return !isTag(l) }), want, false)

	var sums, wantSums []line
	for _, l := range all {
		if !isTag(l) {
			l["Tag"] = regexp.MustCompile("micro|macro").FindString(l["Tag"])
			sums = append(sums, l)
		}
	}
	for _, r := range v.ask(`SELECT scope, ` + counts + `, before_f1, after_f1 FROM tag_metrics{at} AS a JOIN (SELECT scope, before_f1, after_f1 FROM {comparison}) AS b USING (scope) WHERE scope <> 'tag' AND iteration_id = {shown}`) {
		wantSums = append(wantSums, line{
			"Tag": r[0].(string), "Labels": whole(r[1]), "Right": whole(r[2]), "Wrong": whole(r[3]), "Missed": whole(r[4]),
			"Precision": percent(r[5]), "Recall": percent(r[6]), "F1": percent(r[7]), "F1 changed": change(r[9], r[8], 100, 1),
		})
	}
	compare(b, "all tags", sums, wantSums, false)
}

func trendTable(b *tab, v *views) {
	b.Helper()
	var want []line
	for _, r := range v.ask(`SELECT e.iteration_name, strftime(e.trained_at, '%Y-%m-%d'), e.images, m.precision, m.recall, m.f1, e.precision, e.recall, e.average_precision
FROM exports AS e JOIN tag_metrics{at} AS m USING (project_id, iteration_id) WHERE m.scope = 'micro' ORDER BY e.trained_at DESC`) {
		want = append(want, line{
			"Iteration": r[0].(string), "Trained": r[1].(string), "Images": whole(r[2]), "Precision": percent(r[3]), "Recall": percent(r[4]), "F1": percent(r[5]),
			"Service's precision": percent(r[6]), "Service's recall": percent(r[7]), "Service's mAP": percent(r[8]),
		})
	}
	compare(b, "iterations", cells(b, "trend-table"), want, true)
}

// confusionTables checks every cell of the matrix, and the list of the most frequent pairs.
func confusionTables(b *tab, v *views) {
	b.Helper()
	nothing := "nothing labelled"
	if v.one("SELECT any_value(model_kind) FROM model_kinds")[0] == "detection" {
		nothing = "background"
	}
	cases := map[string]string{}
	var right, wrong float64
	var counts []string
	pairs := map[string]bool{}
	for _, r := range v.ask(`SELECT CASE WHEN true_tag_id IS NOT NULL THEN true_tag_name END, CASE WHEN predicted_tag_id IS NOT NULL THEN predicted_tag_name END, cases,
true_tag_id IS NOT DISTINCT FROM predicted_tag_id FROM confusion{at} WHERE iteration_id = {shown} ORDER BY cases DESC`) {
		labelled, predicted := named(r[0], nothing), named(r[1], "missed")
		cases[labelled+" as "+predicted] = whole(r[2])
		if r[3].(bool) {
			right += r[2].(float64)
			continue
		}
		wrong += r[2].(float64)
		counts = append(counts, whole(r[2]))
		pairs[fmt.Sprint(labelled, " as ", predicted, ": ", whole(r[2]))] = true
	}
	matrix := read[map[string]string](b, `(() => {
  const name = (c) => c.textContent;
  const t = document.querySelector("#confusion-matrix table");
  return Object.fromEntries([...t.tBodies[0].rows].flatMap((r) => [...r.cells].slice(1).map((c, n) => [name(r.cells[0]) + " as " + name(t.tHead.rows[0].cells[n + 1]), c.textContent])));
})()`)
	if first := read[[]string](b, `["thead th:nth-child(2)", "tbody th"].map((s) => document.querySelector("#confusion-matrix " + s).textContent)`); !slices.Equal(first, []string{"missed", nothing}) {
		b.Errorf("the matrix's first column and row are %q", first)
	}
	tags := len(v.ask("SELECT tag_id FROM tag_metrics{at} WHERE scope = 'tag' AND iteration_id IN ({shown}, {before}) GROUP BY tag_id"))
	if len(matrix) != (tags+1)*(tags+1) {
		b.Errorf("the matrix of %d tags has %d cells", tags, len(matrix))
	}
	for pair, got := range matrix {
		if got != cases[pair] {
			b.Errorf("labelled %s: the matrix says %q, confusion %q", pair, got, cases[pair])
		}
		delete(cases, pair)
	}
	if len(cases) > 0 {
		b.Errorf("the matrix lacks %v", cases)
	}
	if got, want := numbers(b, "#confusion-lead", 2), []string{whole(right), whole(wrong)}; !slices.Equal(got, want) {
		b.Errorf("the page counts %v right and wrong, the view confusion %v", got, want)
	}
	var listed []string
	for _, l := range cells(b, "confusion-pairs") {
		listed = append(listed, l["Cases"])
		pair := l["Labelled"] + " as " + l["Predicted"] + ": " + l["Cases"]
		if !pairs[pair] {
			b.Errorf("%v is not in the view confusion, or listed twice", l)
		}
		delete(pairs, pair)
	}
	same(b, "the most frequent confusions", listed, counts[:min(30, len(counts))])
}

func changesTable(b *tab, v *views) {
	b.Helper()
	const kinds = "COUNT(*) FILTER (change = 'fixed'), COUNT(*) FILTER (change = 'broken'), COUNT(*) FILTER (change = 'still_right'), COUNT(*) FILTER (change = 'still_wrong')"
	var want []line
	for _, r := range v.ask("SELECT CASE WHEN GROUPING(tag_id) = 1 THEN 'All' ELSE MAX(tag_name) END, " + kinds + " FROM {changes} GROUP BY GROUPING SETS ((), (tag_id))") {
		want = append(want, line{"Tag": r[0].(string), "Fixed": whole(r[1]), "Broken": whole(r[2]), "Still right": whole(r[3]), "Still wrong": whole(r[4]), "Fixed less broken": change(r[1], r[2], 1, 0)})
	}
	compare(b, "changes", cells(b, "changes-table"), want, false)
	all := v.one("SELECT " + kinds + " FROM {changes}")
	for n, id := range []string{"#fixed-count", "#broken-count"} {
		if got, want := numbers(b, id, 1), whole(all[n]); got[0] != want {
			b.Errorf("%s says %v, iteration_changes %s", id, got, want)
		}
	}
}

// changesOf selects the cases that a list shows: first those whose probability changed
// most.
const changesOf = `SELECT image_id, tag_name, before_true_positives, before_false_positives, before_false_negatives, before_probability,
after_true_positives, after_false_positives, after_false_negatives, after_probability, tag_id FROM {changes} WHERE change = '%s'
ORDER BY ABS(COALESCE(after_probability, 0) - COALESCE(before_probability, 0)) DESC, image_id, tag_id LIMIT 24`

// changedTables checks the lists of broken and of fixed cases.
func changedTables(b *tab, v *views) {
	b.Helper()
	for _, change := range []string{"broken", "fixed"} {
		var want []line
		for _, r := range v.ask(fmt.Sprintf(changesOf, change)) {
			want = append(want, line{
				"Image": r[0].(string), "Tag": r[1].(string),
				"Right before": whole(r[2]), "Wrong before": whole(r[3]), "Missed before": whole(r[4]), "Surest before": probability(r[5]),
				"Right now": whole(r[6]), "Wrong now": whole(r[7]), "Missed now": whole(r[8]), "Surest now": probability(r[9]),
			})
		}
		compare(b, "what is "+change, cells(b, change+"-table"), want, true)
	}
}

func hardestTable(b *tab, v *views) {
	b.Helper()
	var want []line
	for _, r := range v.ask("SELECT image_id, error, true_positives, false_positives, false_negatives FROM hardest_images{at} WHERE iteration_id = {shown} AND place <= 24 ORDER BY place") {
		want = append(want, line{"Image": r[0].(string), "Error": fixed(r[1].(float64), 3), "Right": whole(r[2]), "Wrong": whole(r[3]), "Missed": whole(r[4])})
	}
	compare(b, "hardest images", cells(b, "hardest-table"), want, true)
	if got, want := numbers(b, "#hardest-lead", 1), whole(v.one("SELECT count(*) FROM hardest_images{at} WHERE iteration_id = {shown}")[0]); got[0] != want {
		b.Errorf("the page counts %v images with mistakes, hardest_images %s", got, want)
	}
}

// suspicions are the page's words for the kinds of label_suspects.
var suspicions = map[string]string{"swapped": "wrong tag", "overlooked": "missing label", "superfluous": "superfluous label", "badly_placed": "misplaced box"}

func suspectsTable(b *tab, v *views) {
	b.Helper()
	var want []line
	for _, r := range v.ask(`SELECT image_id, kind, labelled_tag_name, predicted_tag_name, score FROM label_suspects() WHERE iteration_id = {shown} AND place <= 24 ORDER BY place`) {
		want = append(want, line{"Image": r[0].(string), "Suspicion": suspicions[r[1].(string)], "Labelled": named(r[2], none), "Looks like": named(r[3], none), "Score": fixed(r[4].(float64), 3)})
	}
	compare(b, "label suspects", cells(b, "suspects-table"), want, true)
	all := whole(v.one("SELECT count(*) FROM label_suspects() WHERE iteration_id = {shown}")[0])
	if got := numbers(b, "#suspects-lead", 1); all != "0" && got[0] != all {
		b.Errorf("the page counts %v suspect labels, label_suspects %s", got, all)
	}
}

var number = regexp.MustCompile(`[\d,]*\d(\.\d+)?`)

// numbers returns the first n numbers in the text of an element.
func numbers(b *tab, selector string, n int) []string {
	b.Helper()
	all := number.FindAllString(read[string](b, `document.querySelector(`+quoted(selector)+`).textContent`), n)
	for len(all) < n {
		all = append(all, "nothing")
	}
	return all
}

// Package viewtest tests the views and functions of package schema against a second
// implementation of them, on DuckDB.
package viewtest

import (
	"database/sql"
	"fmt"
	"math"
	"math/big"
	"net/http/httptest"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/jobs"
	storeopen "github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// thresholds are a probability and an overlap.
type thresholds struct{ probability, overlap float64 }

// exportSimulated exports every iteration of a service that is made up into a
// warehouse. The service's own figures are asked for at the thresholds of the
// iteration's place, over and over.
func exportSimulated(t testing.TB, root string, config simulated.Config, at ...thresholds) *simulated.Service {
	t.Helper()
	return exportSimulatedTags(t, root, config, 0, at...)
}

// exportSimulatedTags limits the exports to the first tags; 0: every image.
func exportSimulatedTags(t testing.TB, root string, config simulated.Config, tags int, at ...thresholds) *simulated.Service {
	t.Helper()
	service, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	client, err := extract.NewClient(extract.Options{
		Endpoint: server.URL, Key: "simulated", Rate: 1e6, Bounds: patience.Bounds{Retries: 2, Delay: time.Nanosecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	store, err := storeopen.Open(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range service.Projects() {
		var filter []string
		for _, tag := range p.Tags[:tags] {
			filter = append(filter, tag.ID.String())
		}
		for i, it := range p.Iterations {
			_, err := jobs.Export(t.Context(), client, store, jobs.Request{
				Project: p.ID, Iteration: it.ID.String(), Tags: filter, Concurrency: 4, SpoolDir: t.TempDir(), Version: "test",
				ProbabilityThreshold: at[i%len(at)].probability, OverlapThreshold: at[i%len(at)].overlap,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return service
}

// call is a view, or a function with its arguments, as SQL.
func call(v schema.View, a arguments) string {
	values := map[string]string{
		"probability_threshold": number(a.probabilityThreshold),
		"overlap_threshold":     number(a.overlapThreshold),
		"project":               "'" + a.before.ProjectID + "'",
		"before":                "'" + a.before.IterationID + "'",
		"after":                 "'" + a.after.IterationID + "'",
	}
	var args []string
	for _, arg := range v.Arguments {
		args = append(args, arg.Name+" := "+values[arg.Name])
	}
	if len(args) == 0 {
		return v.Name
	}
	return v.Name + "(" + strings.Join(args, ", ") + ")"
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// compare fails the test where a view or function does not have the rows that
// it should have, or not the columns of its description.
func compare(t *testing.T, db *sql.DB, w *warehouse, v schema.View, a arguments) {
	t.Helper()
	text := "SELECT * FROM " + call(v, a)
	got, err := queryRows(t.Context(), db, text)
	if err != nil {
		t.Errorf("%s: %v", text, err)
		return
	}
	var names, types []string
	for _, c := range v.Columns {
		names = append(names, c.Name)
		types = append(types, map[schema.Type]string{
			schema.String: "VARCHAR", schema.Double: "DOUBLE", schema.Int32: "INTEGER", schema.Int64: "BIGINT", schema.Timestamp: "TIMESTAMPTZ",
		}[c.Type])
	}
	if !reflect.DeepEqual(got.columns, names) || !reflect.DeepEqual(got.types, types) {
		t.Errorf("%s has columns %v %v, want %v %v", text, got.columns, got.types, names, types)
	}
	for _, row := range got.rows {
		for i := range row {
			if b, ok := row[i].(*big.Int); ok {
				row[i] = b.Int64()
			}
		}
	}
	oracle := oracles[v.Name]
	if oracle == nil {
		t.Fatalf("%s is not one of the oracles", v.Name)
	}
	want := oracle(w, a)
	if w.nameless { // whose name a row shows then is nobody's promise
		for i, name := range names {
			for _, row := range slices.Concat(want, got.rows) {
				if strings.HasSuffix(name, "tag_name") {
					row[i] = nil
				}
			}
		}
	}
	var differences []string
	wantKeys, gotKeys := sortRows(want), sortRows(got.rows)
	for i, j := 0, 0; i < len(want) || j < len(got.rows); {
		switch {
		case i < len(want) && j < len(got.rows) && sameRow(want[i], got.rows[j]):
			i, j = i+1, j+1
		case j == len(got.rows) || i < len(want) && wantKeys[i] <= gotKeys[j]:
			differences = append(differences, "- "+describe(names, want[i]))
			i++
		default:
			differences = append(differences, "+ "+describe(names, got.rows[j]))
			j++
		}
	}
	if len(differences) > 0 {
		t.Errorf("%s: %d rows, want %d (-want +got):\n%s", text, len(got.rows), len(want), strings.Join(differences[:min(len(differences), 12)], "\n"))
	}
}

// sortRows orders rows by everything that must be the same to the bit, then by
// the numbers that need not, and returns what they are ordered by.
func sortRows(rows [][]any) (keys []string) {
	type keyed struct {
		key string
		row []any
	}
	var sorted []keyed
	for _, row := range rows {
		var exact, rest []string
		for _, v := range row {
			if f, ok := v.(float64); ok {
				rest = append(rest, fmt.Sprintf("%25.15f", f))
			} else {
				exact = append(exact, fmt.Sprintf("%12v", v))
			}
		}
		sorted = append(sorted, keyed{strings.Join(append(exact, rest...), "\x00"), row})
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].key < sorted[j].key })
	for i, s := range sorted {
		keys, rows[i] = append(keys, s.key), s.row
	}
	return keys
}

// sameRow compares a row with that of another implementation.
func sameRow(want, got []any) bool { return nearlySame(want, got, 1e-9) }

// nearlySame compares rows, with numbers that differ by at most a fraction.
func nearlySame(want, got []any, fraction float64) bool {
	for i := range want {
		w, ok := want[i].(float64)
		g, alsoOK := got[i].(float64)
		switch {
		case ok && alsoOK: // a difference of two figures may be next to nothing
			if !(math.Abs(w-g) <= 1e-12+fraction*max(math.Abs(w), math.Abs(g))) {
				return false
			}
		case !reflect.DeepEqual(want[i], got[i]):
			return false
		}
	}
	return true
}

// describe leaves out nothing but nulls.
func describe(names []string, row []any) string {
	var parts []string
	for i, v := range row {
		if v != nil {
			parts = append(parts, fmt.Sprintf("%s=%v", names[i], v))
		}
	}
	return strings.Join(parts, " ")
}

// places are where a project has iterations with a committed export; functions refuse
// the others.
func (w *warehouse) places(project string) (all []place) {
	for _, row := range w.exports {
		if p := row.place; p.ProjectID == project {
			p.ExportID = ""
			all = append(all, p)
		}
	}
	return all
}

// Every view and function has the rows that it should have, on exports of every
// kind by the real pipeline.
func TestEvaluationOfExports(t *testing.T) {
	if testing.Short() {
		t.Skip("a long comparison")
	}
	root := t.TempDir()
	for i, config := range []simulated.Config{
		{Kind: simulated.Multiclass, Images: 60},
		{Kind: simulated.Multilabel, Images: 60},
		{Kind: simulated.Detection, Images: 60, Regions: 5, Predictions: 12},
		{Kind: simulated.Detection, Images: 1},
	} {
		config.Seed, config.Iterations = uint64(i), 3
		exportSimulated(t, root, config, thresholds{0.5, 0.3}, thresholds{0, 0.5}, thresholds{1, 0})
	}
	files, db := exported.Open(t, root), exported.Open(t, root)
	exported.InMemory(t, db)
	w := readWarehouse(t, files)
	if len(w.exports) != 12 || len(w.predictions) < 1000 {
		t.Fatalf("%d exports, %d predictions", len(w.exports), len(w.predictions))
	}
	pair := w.places(w.exports[len(w.exports)-1].ProjectID)
	for _, v := range schema.Views() {
		t.Run(v.Name, func(t *testing.T) {
			compare(t, files, &w, v, arguments{0.5, 0.3, pair[0], pair[2]})
			for _, a := range everyThreshold(v) {
				if !comparesTwo(v) {
					compare(t, db, &w, v, a)
					continue
				}
				for n := 0; n < len(w.exports); n += 3 {
					of := w.places(w.exports[n].ProjectID)
					a.before, a.after = of[0], of[2]
					compare(t, db, &w, v, a)
				}
			}
		})
	}
}

// comparesTwo reports whether a function takes two iterations.
func comparesTwo(v schema.View) bool {
	return slices.ContainsFunc(v.Arguments, func(a schema.Argument) bool { return a.Name == "before" })
}

// everyThreshold are several thresholds of each kind that a function takes, each
// with each.
func everyThreshold(v schema.View) (all []arguments) {
	probabilities, overlaps := []float64{0}, []float64{0}
	for _, arg := range v.Arguments {
		switch arg.Name {
		case "probability_threshold":
			probabilities = []float64{0, 0.5, 1}
		case "overlap_threshold":
			overlaps = []float64{0, 0.3, 0.5, 1}
		}
	}
	for _, probability := range probabilities {
		for _, overlap := range overlaps {
			all = append(all, arguments{probabilityThreshold: probability, overlapThreshold: overlap})
		}
	}
	return all
}

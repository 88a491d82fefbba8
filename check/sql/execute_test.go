package sql

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// TestExecute checks that the views and functions of the BigQuery script, and the
// recipes, have the same rows when GoogleSQL's reference implementation executes them as
// when DuckDB executes its own script, whatever the order of the tables' rows.
func TestExecute(t *testing.T) {
	script := bigQueryScript(t)
	recipes := map[string]string{} // without LIMIT, which would choose among ties
	for _, recipe := range readRecipes(t) {
		recipes[recipe] = regexp.MustCompile(`\nLIMIT \d+`).ReplaceAllString(recipe, "")
	}
	var ran atomic.Int32
	var filled sync.Map // the names of what has had rows
	all := warehouses()
	t.Cleanup(func() {
		if int(ran.Load()) < len(all) { // -run chose some
			return
		}
		for _, v := range schema.Views() {
			if _, ok := filled.Load(v.Name); !ok {
				t.Errorf("%s was always empty: nothing was compared", v.Name)
			}
		}
		for recipe, query := range recipes {
			if _, ok := filled.Load(recipe); !ok && query != "SELECT * FROM export_health" {
				t.Errorf("this was always empty, and nothing was compared: %s", recipe)
			}
		}
	})
	for _, w := range all {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			ran.Add(1)
			evaluator := startEvaluator(t)
			db := w.open(t)
			google := map[string]*executor{
				"":                        newExecutor(evaluator, script, readTables(t, db, false)),
				" with its rows reversed": newExecutor(evaluator, script, readTables(t, db, true)),
			}
			check := func(name, query string) {
				t.Helper()
				want, err := readRows(t, db, query)
				if err != nil {
					t.Errorf("%s: in DuckDB: %v", query, err)
					return
				}
				if len(want) > 0 {
					filled.Store(name, true)
				}
				for how, x := range google {
					got, err := x.query(inDataset.ReplaceAllString(query, "$1 `vision`.`$2`"))
					if err != nil {
						t.Errorf("%s%s: %v", query, how, err)
						continue
					}
					if diff := difference(want, got); diff != "" {
						t.Errorf("%s%s (-DuckDB +GoogleSQL):\n%s", query, how, diff)
					}
				}
			}
			iterations := readIterations(t, db)
			for _, v := range schema.Views() {
				for _, arguments := range sensible(v, w.thresholds, iterations) {
					check(v.Name, "SELECT * FROM "+v.Name+arguments)
				}
			}
			if !w.recipes {
				return
			}
			for recipe, query := range recipes {
				for _, at := range w.thresholds {
					check(recipe, atThreshold.ReplaceAllStringFunc(query, func(given string) string {
						if strings.Contains(given, ",") {
							return at.probability + ", " + at.overlap + ")"
						}
						return "(" + at.overlap + ")"
					}))
				}
			}
		})
	}
}

// atThreshold matches the thresholds that the recipes give to functions.
var atThreshold = regexp.MustCompile(`\d\.\d, \d\.\d\)|\(\d\.\d\)`)

// TestExecuteRefusals checks that GoogleSQL too ends with an error where an argument makes
// no sense, and only there.
func TestExecuteRefusals(t *testing.T) {
	t.Parallel()
	evaluator := startEvaluator(t)
	db := madeUp(t, "TRUNCATE data.images; TRUNCATE data.predictions; TRUNCATE data.tags; TRUNCATE data.regions; TRUNCATE data.tag_performance")
	whole := bigQueryScript(t)
	// What a function reads refuses its arguments first: without the answer, each does.
	alone := slices.Clone(whole)
	for i, s := range alone {
		if s.Kind == "CREATE TABLE FUNCTION" {
			alone[i].Query, _, _ = strings.Cut(s.Query, "\nUNION ALL\nSELECT * FROM (\n")
		}
	}
	tables := readTables(t, db, false)
	for _, script := range [][]Statement{whole, alone} {
		x := newExecutor(evaluator, script, tables)
		functions := 0
		for _, v := range schema.Views() {
			refused := func(call string) {
				t.Helper()
				_, err := x.query("SELECT * FROM `vision`.`" + v.Name + "`" + strings.TrimPrefix(call, v.Name))
				var is *evaluationError
				if !errors.As(err, &is) || !strings.Contains(is.message, " must be a number from 0 to 1, not ") && !strings.Contains(is.message, ": the warehouse has no export of iteration ") {
					t.Errorf("%s: %v, want an error that says what is wrong", call, err)
				}
			}
			for _, call := range nonsense(v) {
				refused(call)
				if strings.Contains(call, "1.1") {
					refused(strings.Replace(call, "1.1", "CAST('NaN' AS FLOAT64)", 1))
				}
			}
			if len(v.Arguments) == 0 {
				continue
			}
			functions++
			for _, arguments := range sensible(v, []threshold{{"0.0", "0.0"}, {"0", "1"}, {"1", "0"}}, readIterations(t, db)) {
				if _, err := x.query("SELECT * FROM `vision`.`" + v.Name + "`" + arguments); err != nil {
					t.Errorf("%s%s: %v", v.Name, arguments, err)
				}
			}
		}
		if functions == 0 {
			t.Error("there are no functions")
		}
	}
}

// TestExecuteMutants checks that TestExecute would see what is wrong in the SQL.
func TestExecuteMutants(t *testing.T) {
	t.Parallel()
	evaluator := startEvaluator(t)
	db := madeUp(t, odd)
	tables := []map[string]*relation{readTables(t, db, false), readTables(t, db, true)}
	for _, mutant := range []struct {
		what, view, old, new string
		want                 string // in the difference or error
	}{
		{"takes tiny boxes for right", "outcomes", " AND areas > width * height AND width * height > 1e-9 * (areas - width * height))", ")", "true_positive"},
		{"divides by 0", "tag_metrics", "NULLIF(true_positives + false_positives, 0)", "(true_positives + false_positives)", "division by zero"},
		{"leaves places to the order of the rows", "hardest_images", "ORDER BY s.error DESC, s.image_id", "ORDER BY s.error DESC", "+"},
	} {
		script := bigQueryScript(t)
		i := slices.IndexFunc(script, func(s Statement) bool { return s.Name == "vision."+mutant.view })
		changed := strings.ReplaceAll(script[i].Query, mutant.old, mutant.new)
		if changed == script[i].Query {
			t.Errorf("a mutant that %s: %s has no %q", mutant.what, mutant.view, mutant.old)
			continue
		}
		script[i].Query = changed
		want, err := readRows(t, db, "SELECT * FROM "+mutant.view+"(0.5, 0.3)")
		if err != nil {
			t.Fatal(err)
		}
		var seen string
		for _, rows := range tables {
			got, err := newExecutor(evaluator, script, rows).query("SELECT * FROM `vision`.`" + mutant.view + "`(0.5, 0.3)")
			if err != nil {
				seen += err.Error()
			} else {
				seen += difference(want, got)
			}
		}
		if !strings.Contains(seen, mutant.want) {
			t.Errorf("a mutant that %s is not seen: %q", mutant.what, seen)
		}
	}
}

func bigQueryScript(t *testing.T) []Statement {
	t.Helper()
	script, err := Analyze(schema.Script{Dialect: schema.BigQuery, Warehouse: "gs://bucket", Dataset: "vision"}.String())
	if err != nil {
		t.Fatal(err)
	}
	return script
}

// threshold is a probability and an overlap, as SQL.
type threshold struct{ probability, overlap string }

// sensible returns arguments that a function takes, in parentheses: all thresholds, but for
// one that compares iterations, each with the next one and one with itself. It returns ""
// for a view.
func sensible(v schema.View, thresholds []threshold, iterations []iteration) (all []string) {
	if len(v.Arguments) == 0 {
		return []string{""}
	}
	add := func(at threshold, ids ...string) {
		var given []string
		for _, a := range v.Arguments {
			switch {
			case a.Type == schema.String:
				given = append(given, "'"+ids[0]+"'")
				ids = ids[1:]
			case a.Name == "probability_threshold":
				given = append(given, at.probability)
			default:
				given = append(given, at.overlap)
			}
		}
		if call := "(" + strings.Join(given, ", ") + ")"; !slices.Contains(all, call) {
			all = append(all, call)
		}
	}
	if !slices.ContainsFunc(v.Arguments, func(a schema.Argument) bool { return a.Type == schema.String }) {
		for _, at := range thresholds {
			add(at)
		}
		return all
	}
	for i, a := range iterations {
		if b := iterations[(i+1)%len(iterations)]; a.project == b.project {
			add(thresholds[i%len(thresholds)], a.project, a.id, b.id)
		}
	}
	for _, a := range iterations[max(0, len(iterations)-1):] {
		add(thresholds[len(thresholds)-1], a.project, a.id, a.id)
	}
	return all
}

// difference returns the rows that only one of both has, in any order, or "". Numbers are
// the same within 1e-10.
func difference(want, got [][]any) string {
	want, got = sorted(want), sorted(got)
	var lines []string
	for i, j := 0, 0; i < len(want) || j < len(got); {
		switch {
		case i < len(want) && j < len(got) && slices.EqualFunc(want[i], got[j], same):
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && sortKey(want[i]) <= sortKey(got[j]):
			lines = append(lines, fmt.Sprint("- ", want[i]))
			i++
		default:
			lines = append(lines, fmt.Sprint("+ ", got[j]))
			j++
		}
	}
	return strings.Join(lines[:min(len(lines), 10)], "\n")
}

func same(a, b any) bool {
	x, isNumber := a.(float64)
	y, alsoNumber := b.(float64)
	if !isNumber || !alsoNumber {
		return reflect.DeepEqual(a, b)
	}
	return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= 1e-10*max(1, math.Abs(x), math.Abs(y))
}

func sorted(rows [][]any) [][]any {
	return slices.SortedFunc(slices.Values(rows), func(a, b []any) int { return strings.Compare(sortKey(a), sortKey(b)) })
}

// sortKey has what must be the same to the bit before what need not.
func sortKey(row []any) string {
	var exact, near []string
	for _, v := range row {
		if f, ok := v.(float64); ok {
			near = append(near, strconv.FormatFloat(f, 'f', 12, 64))
		} else {
			exact = append(exact, fmt.Sprint(v))
		}
	}
	return strings.Join(slices.Concat(exact, near), "\x00")
}

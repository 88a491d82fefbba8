package viewtest

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// planNode is a part of DuckDB's plan for a query.
type planNode struct {
	Name      string         `json:"name"`
	Children  []planNode     `json:"children"`
	ExtraInfo map[string]any `json:"extra_info"`
}

// walk calls do for the node and everything below it.
func (n planNode) walk(do func(planNode)) {
	do(n)
	for _, child := range n.Children {
		child.walk(do)
	}
}

// A query for one iteration reads no file of another, through any view or
// function: what it costs does not grow with the warehouse. So it is also where the
// printed script was run into a database file, of which DuckDB forgets a part.
func TestQueriesReadTheirIterationAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := t.TempDir()
	for _, config := range []simulated.Config{
		{Kind: simulated.Detection, Images: 4, Projects: 2, Iterations: 3},
		{Kind: simulated.Multilabel, Images: 4, Seed: 1, Projects: 2, Iterations: 3},
	} {
		exportSimulated(t, root, config, thresholds{0.5, 0.3})
	}
	const files = 12 // of each table
	t.Run("in memory", func(t *testing.T) { testPruning(t, exported.Open(t, root), files) })
	t.Run("in a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "saved.duckdb")
		script := schema.Script{Dialect: schema.DuckDB, Warehouse: root}.String()
		for range 2 { // once to write it, and once to read it
			db, err := sql.Open("duckdb", file)
			if err != nil {
				t.Fatal(err)
			}
			if script == "" {
				testPruning(t, db, files)
			} else {
				execute(t, db, script)
			}
			script = ""
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func testPruning(t *testing.T, db *sql.DB, files int) {
	w := readWarehouse(t, db)
	of := w.places(w.exports[0].ProjectID)

	check := func(name, query string, want ...string) {
		t.Helper()
		var plan []planNode
		text := rowsOf(t, db, "EXPLAIN (FORMAT json) "+query).rows[0][1].(string)
		if err := json.Unmarshal([]byte(text), &plan); err != nil {
			t.Fatalf("%s: the plan: %v", name, err)
		}
		scans := 0
		for _, root := range plan {
			root.walk(func(n planNode) {
				if strings.TrimSpace(n.Name) != "READ_PARQUET" {
					return
				}
				scans++
				if read, ok := n.ExtraInfo["Scanning Files"].(string); !ok || !slices.Contains(want, read) {
					t.Errorf("%s: a scan of %v reads the files %q, want %v", name, n.ExtraInfo["Projections"], read, want)
				}
			})
		}
		if scans == 0 {
			t.Errorf("%s: the plan reads no file: %s", name, text)
		}
	}
	one := fmt.Sprintf("1/%d", files)
	where := fmt.Sprintf(" WHERE project_id = '%s' AND iteration_id = '%s'", of[0].ProjectID, of[0].IterationID)
	for _, table := range schema.Tables() {
		check(table.Name, "SELECT * FROM "+table.Name+where, one)
	}
	for _, v := range schema.Views() {
		a := arguments{0.5, 0.3, of[0], of[1]}
		if comparesTwo(v) { // its arguments say which; it reads two, together or each by itself
			check(v.Name, "SELECT * FROM "+call(v, a), one, fmt.Sprintf("2/%d", files))
			continue
		}
		check(v.Name, "SELECT * FROM "+call(v, a)+where, one)
	}
	// Variables are as good as literals.
	execute(t, db, fmt.Sprintf("SET VARIABLE iteration = (SELECT iteration_id FROM exports WHERE project_id = '%s' AND iteration_id = '%s')", of[0].ProjectID, of[0].IterationID))
	check("a variable", "SELECT * FROM tag_metrics() WHERE iteration_id = getvariable('iteration')", one)
	// The plan does tell: of a whole project, all files are read.
	check("a project", "SELECT * FROM current_predictions"+fmt.Sprintf(" WHERE project_id = '%s'", of[0].ProjectID), fmt.Sprintf("3/%d", files))
}

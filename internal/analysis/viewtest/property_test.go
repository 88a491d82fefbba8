package viewtest

import (
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/schema"
)

var seeds = flag.Int("seeds", 200, "how many made-up warehouses the views and functions are tested on")

// made is a warehouse that is made up: rows of every table as SQL, and small,
// on coarse grids, so that what is rare elsewhere is frequent here.
type made struct {
	random   *rand.Rand
	rows     map[string][]string
	nameless bool // whether some rows lack the name that others have for the tag
}

// in picks one of several values.
func in[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func (m *made) one(of int) bool { return m.random.IntN(of) == 0 }

// add adds a row. Values are written as SQL; columns that are not named get
// something that means nothing.
func (m *made) add(table schema.Table, at place, values map[string]any) {
	values["export_id"] = at.ExportID
	var row []string
	for _, c := range table.Columns {
		v, ok := values[c.Name]
		switch {
		case ok || c.Nullable:
		case c.Type == schema.String:
			v = "-"
		case c.Type == schema.Timestamp:
			v = "2026-01-01"
		case c.Type == schema.StringList || c.Type == schema.StructList:
			v = sqlText("[]")
		default:
			v = 0
		}
		row = append(row, literal(v))
	}
	row = append(row, literal(at.ProjectID), literal(at.IterationID))
	m.rows[table.Name] = append(m.rows[table.Name], "("+strings.Join(row, ", ")+")")
}

// sqlText is SQL as it is.
type sqlText string

func literal(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case sqlText:
		return string(v)
	case string:
		return "'" + strings.ReplaceAll(v, "'", "''") + "'"
	case float64:
		return number(v) + "::DOUBLE"
	}
	return fmt.Sprint(v)
}

// grow adds a few projects with a few iterations each, which depend on the seed
// alone and bear it in their ids.
func (m *made) grow(seed uint64) {
	m.random = rand.New(rand.NewPCG(seed, 1))
	for p := range 1 + m.random.IntN(3) {
		detector := m.one(2)
		for i := range 1 + m.random.IntN(3) {
			// Ids of iterations that are the same in two projects must not matter.
			m.iteration(place{fmt.Sprintf("seed-%d-%d", seed, p), fmt.Sprintf("i%d", i), fmt.Sprintf("export-%d-%d", p, i)}, detector)
		}
	}
}

func (m *made) iteration(at place, detector bool) {
	r := m.random
	tags := 1 + r.IntN(4)
	names := make([]any, tags)
	for t := range names {
		if !m.one(4) {
			names[t] = fmt.Sprintf("tag %d", t)
			if m.one(5) {
				names[t] = fmt.Sprintf("renamed %d in %s", t, at.IterationID)
			}
		}
	}
	// tag draws one of the tags.
	tag := func() map[string]any {
		t := r.IntN(tags)
		name := names[t]
		if m.nameless && m.one(4) {
			name = nil
		}
		return map[string]any{"tag_id": fmt.Sprintf("t%d", t), "tag_name": name}
	}
	written := func() place { // now and then another export has written the row
		if m.one(100) {
			return place{at.ProjectID, at.IterationID, "another"}
		}
		return at
	}
	before := map[string]int{}
	for _, t := range schema.DataTables() {
		before[t.Name] = len(m.rows[t.Name])
	}
	for image := range r.IntN(6) {
		id := fmt.Sprintf("image-%d", image+r.IntN(2)) // iterations share some
		if image > 0 {
			id = fmt.Sprintf("image-%d-%d", image, r.IntN(2))
		}
		m.add(schema.Images, written(), map[string]any{"image_id": id, "image_index": image, "image_uri": in[any](r, nil, "https://"+id)})
		for i := range r.IntN(6) {
			row := tag()
			row["image_id"], row["prediction_index"], row["probability"] = id, i, float64(r.IntN(9))/8
			if detector && !m.one(20) {
				m.box(row)
			}
			m.add(schema.Predictions, written(), row)
		}
		for i := range r.IntN(4) { // the same tag may come again
			row := tag()
			row["image_id"], row["tag_index"] = id, i
			m.add(schema.Tags, written(), row)
		}
		for i := range r.IntN(4) {
			if !detector && !m.one(20) {
				break // a classifier's image has no regions
			}
			row := tag()
			row["image_id"], row["region_index"], row["region_id"] = id, i, fmt.Sprintf("region-%s-%d", id, i)
			m.box(row)
			m.add(schema.Regions, written(), row)
		}
	}
	for t := range tags + 1 { // one that no image has
		if m.one(6) {
			continue
		}
		row := map[string]any{"tag_id": fmt.Sprintf("t%d", t), "precision": m.figure(), "recall": m.figure(), "average_precision": m.figure()}
		if t < tags {
			row["tag_name"] = names[t]
		}
		m.add(schema.TagPerformance, written(), row)
	}
	if m.one(5) {
		return // its export was never committed
	}
	row := map[string]any{
		"classification_type": in[any](r, nil, "Multiclass", "Multilabel"), "precision": m.figure(), "recall": m.figure(), "average_precision": m.figure(),
		"probability_threshold": in(r, probabilities...), "overlap_threshold": in(r, overlaps...),
	}
	if !m.one(3) { // the others are older
		row["model_kind"] = schema.Classification
		if detector {
			row["model_kind"] = schema.Detection
		}
	}
	if m.one(4) {
		row["tag_filter"] = sqlText("['t0']")
	}
	for _, t := range schema.DataTables() {
		count := len(m.rows[t.Name]) - before[t.Name]
		if m.one(12) {
			count += in(r, -1, 1)
		}
		row[t.Name] = count
	}
	m.add(schema.Exports, at, row)
}

// The arguments of functions.
var (
	probabilities = []float64{0, 0.5, 0.75, 0.875, 1}
	overlaps      = []float64{0, 0.25, 0.3, 0.5, 1}
)

func (m *made) figure() any {
	return in[any](m.random, nil, 0.0, 0.25, 0.625, 1.0)
}

// box gives a row a box whose sides are on a grid of a quarter of the image.
func (m *made) box(row map[string]any) {
	for _, side := range []string{"box_left", "box_top"} {
		row[side] = float64(m.random.IntN(3)) / 4
	}
	for _, side := range []string{"box_width", "box_height"} {
		row[side] = in(m.random, 0.25, 0.5, 0.5, 0.75)
		if m.one(15) {
			row[side] = 0.0
		}
	}
}

// load puts the rows into the tables that the views read.
func (m *made) load(t *testing.T, db *sql.DB) {
	t.Helper()
	for _, table := range schema.Tables() {
		execute(t, db, "TRUNCATE data."+table.Name)
		if rows := m.rows[table.Name]; len(rows) > 0 {
			execute(t, db, "INSERT INTO data."+table.Name+" VALUES "+strings.Join(rows, ",\n"))
		}
	}
}

func execute(t testing.TB, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatalf("%.500s: %v", statement, err)
	}
}

// check compares every view and function at a few thresholds, and a few pairs of
// iterations of one project each, which may be one and the same.
func (m *made) check(t *testing.T, db *sql.DB) {
	t.Helper()
	w := readWarehouse(t, db)
	w.nameless = m.nameless
	for range 3 {
		a := arguments{probabilityThreshold: in(m.random, probabilities...), overlapThreshold: in(m.random, overlaps...)}
		for _, v := range schema.Views() {
			if !comparesTwo(v) {
				compare(t, db, &w, v, a)
				continue
			}
			for range 3 {
				of := w.places(in(m.random, w.exports...).ProjectID)
				a.before, a.after = in(m.random, of...), in(m.random, of...)
				compare(t, db, &w, v, a)
			}
		}
	}
}

// Every view and function has the rows that it should have, on warehouses that
// are made up. Many seeds are looked at together, as DuckDB needs longer to
// understand a query than to answer it.
func TestEvaluationProperties(t *testing.T) {
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	together, seeds := 50, *seeds
	if testing.Short() {
		together, seeds = 10, 10
	}
	for first := 0; first < seeds; first += together {
		m := &made{rows: map[string][]string{}, nameless: first/together == 1}
		for seed := first; seed < first+together; seed++ {
			m.grow(uint64(seed))
		}
		m.load(t, db)
		m.check(t, db)
		if t.Failed() {
			t.FailNow()
		}
	}
}

// The same, of files.
func TestEvaluationPropertiesOfFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("a long comparison")
	}
	memory := exported.Open(t, t.TempDir())
	exported.InMemory(t, memory)
	m := &made{rows: map[string][]string{}}
	for seed := range uint64(3) {
		m.grow(1_000_000 + seed)
	}
	m.load(t, memory)
	root := t.TempDir()
	writeFiles(t, memory, root)
	m.check(t, exported.Open(t, root))
}

// writeFiles writes the tables in memory as a warehouse of files, one a table and
// iteration.
func writeFiles(t testing.TB, db *sql.DB, root string) {
	t.Helper()
	for _, table := range schema.Tables() {
		folder := filepath.Join(root, table.Name)
		execute(t, db, fmt.Sprintf("COPY data.%s TO '%s' (FORMAT parquet, PARTITION_BY (project_id, iteration_id), OVERWRITE true)", table.Name, folder))
		files, err := filepath.Glob(filepath.Join(folder, "*", "*", "data_0.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.Rename(file, filepath.Join(filepath.Dir(file), "data.parquet")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

package sql

import (
	"database/sql"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// executed is a warehouse that the check executes the SQL on.
type executed struct {
	name       string
	open       func(t *testing.T) *sql.DB
	thresholds []threshold
	recipes    bool // whether it has the iterations that the recipes name
}

func warehouses() (all []executed) {
	some := []threshold{{"0.5", "0.3"}, {"0.0", "0.0"}, {"0.8", "0.5"}, {"1.0", "1.0"}}
	for _, kind := range []simulated.Kind{simulated.Multiclass, simulated.Multilabel, simulated.Detection} {
		all = append(all, executed{string(kind), func(t *testing.T) *sql.DB {
			db := exported.Open(t, exported.Warehouse(t, simulated.Config{Kind: kind, Iterations: 2, Images: 30, Regions: 5, Predictions: 12}))
			exported.InMemory(t, db)
			return db
		}, some[:2], true})
	}
	made := func(name, statements string, thresholds []threshold) {
		all = append(all, executed{name, func(t *testing.T) *sql.DB { return madeUp(t, statements) }, thresholds, false})
	}
	made("coarse", "", some[1:3])
	made("odd", odd, some)
	made("no predictions", "TRUNCATE data.predictions", some[:1])
	made("no labels", "TRUNCATE data.tags; TRUNCATE data.regions", some[:1])
	made("no images", "TRUNCATE data.images; TRUNCATE data.tag_performance", some[:1])
	made("no exports", "TRUNCATE data.exports", some[:1])
	var empty []string
	for _, table := range schema.Tables() {
		empty = append(empty, "TRUNCATE data."+table.Name)
	}
	made("empty", strings.Join(empty, ";"), some[:1])
	return all
}

// madeUp returns DuckDB with the views and functions over someRows, which statements change.
func madeUp(t *testing.T, statements string) *sql.DB {
	t.Helper()
	db := exported.Open(t, t.TempDir())
	exported.InMemory(t, db)
	if _, err := db.ExecContext(t.Context(), someRows+";"+statements); err != nil {
		t.Fatal(err)
	}
	return db
}

// odd makes rows as they are rarely or never seen.
const odd = `
-- Names that some rows of a tag lack.
UPDATE data.predictions SET tag_name = NULL WHERE prediction_index = 1;
UPDATE data.tags SET tag_name = if(tag_index = 0, NULL, 'tag of ' || image_id);
UPDATE data.regions SET tag_name = 'a tag' WHERE region_index = 1;
UPDATE data.tag_performance SET tag_name = NULL WHERE tag_id IN ('t1', 't2');
-- Boxes that are null, without area, or whose area is less than a double can hold.
UPDATE data.predictions SET box_left = NULL, box_top = NULL, box_width = NULL, box_height = NULL WHERE hash(image_id) % 5 = 0 AND prediction_index = 2;
UPDATE data.predictions SET box_width = 0 WHERE hash(image_id) % 5 = 1 AND prediction_index < 2 AND box_width IS NOT NULL;
UPDATE data.regions SET box_height = 0 WHERE hash(image_id) % 5 = 1 AND region_index = 0;
UPDATE data.predictions SET box_left = 0, box_top = 0, box_width = 1e-170, box_height = 1e-170 WHERE hash(image_id) % 5 = 2 AND box_left IS NOT NULL;
UPDATE data.regions SET box_left = 0, box_top = 0, box_width = 1e-170, box_height = 1e-170 WHERE hash(image_id) % 5 = 2;
UPDATE data.regions SET box_left = -0.5, box_top = 0.75, box_width = 3, box_height = -0.25 WHERE hash(image_id) % 7 = 2;
-- Rows that are there twice.
INSERT INTO data.predictions FROM data.predictions WHERE hash(image_id) % 6 = 0;
INSERT INTO data.regions FROM data.regions WHERE hash(image_id) % 6 = 1;
INSERT INTO data.tags FROM data.tags WHERE hash(image_id) % 6 = 2;
INSERT INTO data.images FROM data.images WHERE hash(image_id) % 6 = 3;
-- An iteration that was never committed.
INSERT INTO data.images SELECT * REPLACE ('i3' AS iteration_id) FROM data.images WHERE iteration_id = 'i2';
INSERT INTO data.predictions SELECT * REPLACE ('i3' AS iteration_id) FROM data.predictions WHERE iteration_id = 'i2';
INSERT INTO data.regions SELECT * REPLACE ('i3' AS iteration_id) FROM data.regions WHERE iteration_id = 'i2';
-- Figures that are no numbers.
UPDATE data.tag_performance SET precision = 'NaN', recall = 'Infinity', average_precision = 'NaN' WHERE tag_id = 't0';
UPDATE data.exports SET average_precision = 'NaN', recall = '-Infinity' WHERE iteration_id = 'i0';
UPDATE data.exports SET tag_filter = ['t0'] WHERE iteration_id = 'i1';
-- Ids and names that programs order, fold and normalize in different ways.
UPDATE data.images SET image_id = replace(replace(image_id, 'm1', '😀'), 'm2', chr(65533));
UPDATE data.predictions SET image_id = replace(replace(image_id, 'm1', '😀'), 'm2', chr(65533)), tag_id = replace(tag_id, 't3', 'T2');
UPDATE data.regions SET image_id = replace(replace(image_id, 'm1', '😀'), 'm2', chr(65533)), tag_id = replace(tag_id, 't3', 'T2');
UPDATE data.tags SET image_id = replace(replace(image_id, 'm1', '😀'), 'm2', chr(65533)), tag_id = replace(tag_id, 't3', 'T2');
UPDATE data.predictions SET tag_name = 'e' || chr(769) WHERE tag_id = 't0';
UPDATE data.tag_performance SET tag_name = chr(233) WHERE tag_id = 't0'`

// iteration is one that has a committed export.
type iteration struct{ project, id string }

func readIterations(t *testing.T, db *sql.DB) (all []iteration) {
	t.Helper()
	rows, err := readRows(t, db, "SELECT project_id, iteration_id FROM exports ORDER BY ALL")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		all = append(all, iteration{row[0].(string), row[1].(string)})
	}
	return all
}

// readTables reads the tables' rows, with the columns in the order of the script.
func readTables(t *testing.T, db *sql.DB, reverse bool) map[string]*relation {
	t.Helper()
	tables := map[string]*relation{}
	for _, table := range schema.Tables() {
		var names []string
		for _, c := range table.Columns {
			names = append(names, `"`+c.Name+`"`)
		}
		rows, err := readRows(t, db, "SELECT "+strings.Join(names, ", ")+", project_id, iteration_id FROM "+table.Name)
		if err != nil {
			t.Fatal(err)
		}
		if reverse {
			slices.Reverse(rows)
		}
		tables[table.Name] = &relation{rows: rows}
	}
	return tables
}

// readRows returns a query's rows in DuckDB with values as in a [relation].
func readRows(t *testing.T, db *sql.DB, query string) ([][]any, error) {
	result, err := db.QueryContext(t.Context(), query)
	if err != nil {
		return nil, err
	}
	defer result.Close()
	columns, err := result.Columns()
	if err != nil {
		return nil, err
	}
	all := [][]any{}
	for result.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := result.Scan(into...); err != nil {
			return nil, err
		}
		for i, v := range row {
			row[i] = plainOf(v)
		}
		all = append(all, row)
	}
	return all, result.Err()
}

func plainOf(v any) any {
	switch v := v.(type) {
	case int32:
		return int64(v)
	case *big.Int:
		return v.Int64()
	case interface{ Float64() float64 }: // a decimal
		return v.Float64()
	case []any:
		for i := range v {
			v[i] = plainOf(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plainOf(v[name])
		}
	}
	return v
}

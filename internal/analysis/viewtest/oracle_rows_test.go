package viewtest

import (
	"context"
	"database/sql"
	"errors"
	"reflect"
	"testing"

	"github.com/duckdb/duckdb-go/v2"
)

// place is where a row of any table is from.
type place struct {
	ProjectID, IterationID, ExportID string
}

type imageRow struct {
	place
	ImageID  string
	ImageURI *string
}

type predictionRow struct {
	place
	ImageID         string
	PredictionIndex int32
	TagID           string
	TagName         *string
	Probability     float64
	box
}

type tagRow struct {
	place
	ImageID  string
	TagIndex int32
	TagID    string
	TagName  *string
}

type regionRow struct {
	place
	ImageID     string
	RegionIndex int32
	RegionID    string
	TagID       string
	TagName     *string
	box
}

type tagPerformanceRow struct {
	place
	TagID                               string
	TagName                             *string
	Precision, Recall, AveragePrecision *float64
}

type exportRow struct {
	place
	ModelKind, ClassificationType                      *string
	Precision, Recall, AveragePrecision                *float64
	ProbabilityThreshold, OverlapThreshold             float64
	Images, Predictions, Tags, Regions, TagPerformance int64
	TagFilter                                          any // a list
}

// limited is how many tags it is limited to.
func (e exportRow) limited() int64 {
	list, _ := e.TagFilter.([]any)
	return int64(len(list))
}

// isFiltered: it is limited to tags, and the service's figures are not.
func (e exportRow) isFiltered() bool {
	list, _ := e.TagFilter.([]any)
	return len(list) > 0
}

// box is a box, or none if its parts are nil.
type box struct {
	BoxLeft, BoxTop, BoxWidth, BoxHeight *float64
}

// warehouse is what its tables hold.
type warehouse struct {
	tables         map[string]result // as they were read
	images         []imageRow
	predictions    []predictionRow
	tags           []tagRow
	regions        []regionRow
	tagPerformance []tagPerformanceRow
	exports        []exportRow

	nameless bool // whether some rows lack the name that others have for the tag
}

func readWarehouse(t testing.TB, db *sql.DB) (w warehouse) {
	t.Helper()
	w.tables = map[string]result{}
	readTable(t, db, "images", w.tables, &w.images)
	readTable(t, db, "predictions", w.tables, &w.predictions)
	readTable(t, db, "tags", w.tables, &w.tags)
	readTable(t, db, "regions", w.tables, &w.regions)
	readTable(t, db, "tag_performance", w.tables, &w.tagPerformance)
	readTable(t, db, "exports", w.tables, &w.exports)
	return w
}

// readTable reads a table's rows into structs, whose fields are called as the
// columns are.
func readTable[Row any](t testing.TB, db *sql.DB, table string, tables map[string]result, into *[]Row) {
	t.Helper()
	got := rowsOf(t, db, "SELECT * FROM "+table)
	tables[table] = got
	for _, values := range got.rows {
		var row Row
		for i, column := range got.columns {
			field := reflect.ValueOf(&row).Elem().FieldByName(fieldName(column))
			switch {
			case !field.IsValid() || values[i] == nil: // a column that nothing here needs, or null
			case field.Kind() == reflect.Pointer:
				field.Set(reflect.New(field.Type().Elem()))
				field.Elem().Set(reflect.ValueOf(values[i]))
			default:
				field.Set(reflect.ValueOf(values[i]))
			}
		}
		*into = append(*into, row)
	}
}

// fieldName is the field for a column: image_id is ImageID.
func fieldName(column string) string {
	var name []byte
	for i := 0; i < len(column); i++ {
		switch {
		case i == 0 || column[i-1] == '_':
			name = append(name, column[i]-'a'+'A')
		case column[i] != '_':
			name = append(name, column[i])
		}
	}
	for _, initials := range []string{"Id", "Uri"} {
		if n := len(name) - len(initials); n >= 0 && string(name[n:]) == initials {
			name = append(name[:n], map[string]string{"Id": "ID", "Uri": "URI"}[initials]...)
		}
	}
	return string(name)
}

// rowsOf runs a query.
func rowsOf(t testing.TB, db *sql.DB, query string, args ...any) result {
	t.Helper()
	got, err := queryRows(t.Context(), db, query, args...)
	if err != nil {
		t.Fatalf("%.300s: %v", query, err)
	}
	return got
}

func queryRows(ctx context.Context, db *sql.DB, query string, args ...any) (out result, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	types, err := rows.ColumnTypes()
	if err != nil {
		return result{}, err
	}
	for _, t := range types {
		out.columns, out.types = append(out.columns, t.Name()), append(out.types, t.DatabaseTypeName())
	}
	for rows.Next() {
		row, pointers := make([]any, len(types)), make([]any, len(types))
		for i := range row {
			pointers[i] = &row[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return result{}, err
		}
		for i, v := range row {
			if d, ok := v.(duckdb.Decimal); ok {
				row[i] = d.Float64()
			}
		}
		out.rows = append(out.rows, row)
	}
	return out, rows.Err()
}

// result is what a query returns.
type result struct {
	columns, types []string
	rows           [][]any
}

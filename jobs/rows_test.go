package jobs

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/simulated"
)

// compareRows reads an iteration's files with DuckDB and compares every value
// with what the service made up: images first to first+count-1.
func compareRows(t *testing.T, b *bench, project, iteration, first, count int) {
	t.Helper()
	p := b.service.Projects()[project]
	it := p.Iterations[iteration]
	got := map[string][]string{}
	for table, columns := range map[string]string{
		"images":      "image_index, image_id, epoch_us(created), width, height, image_uri, thumbnail_uri",
		"predictions": "image_id, prediction_index, tag_id, tag_name, probability, box_left, box_top, box_width, box_height",
		"tags":        "image_id, tag_index, tag_id, tag_name, epoch_us(created)",
		"regions":     "image_id, region_index, region_id, tag_id, tag_name, epoch_us(created), box_left, box_top, box_width, box_height",
	} {
		glob := filepath.Join(b.root, table, "project_id="+p.ID.String(), "iteration_id="+it.ID.String(), "*.parquet")
		got[table] = duckRows(t, fmt.Sprintf("SELECT %s FROM read_parquet('%s')", columns, glob))
	}
	want := map[string][]string{"images": nil, "predictions": nil, "tags": nil, "regions": nil}
	add := func(table string, values ...any) { want[table] = append(want[table], fmt.Sprintf("%v", values)) }
	for n := range count {
		img := b.service.Image(project, iteration, first+n)
		add("images", n, img.ID, img.Created/10, img.Width, img.Height, b.service.URI(project, 'i', img.ID), b.service.URI(project, 't', img.ID))
		for i, v := range img.Predictions {
			values := []any{img.ID, i, v.Tag.ID, v.Tag.Name, simulated.Float(v.Probability), nil, nil, nil, nil}
			if v.Box != nil {
				values = append(values[:5], box(*v.Box)...)
			}
			add("predictions", values...)
		}
		for i, v := range img.Tags {
			add("tags", img.ID, i, v.Tag.ID, v.Tag.Name, v.Created/10)
		}
		for i, v := range img.Regions {
			add("regions", append([]any{img.ID, i, v.ID, v.Tag.ID, v.Tag.Name, v.Created / 10}, box(v.Box)...)...)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%.3000s", diff)
	}
}

func box(b simulated.Box) []any {
	var out []any
	for _, side := range b {
		out = append(out, simulated.Float(side))
	}
	return out
}

// duckDB is one database for all tests: opening it takes longer than most queries. It
// keeps no part of any file.
var duckDB = sync.OnceValues(func() (*sql.DB, error) {
	db, err := sql.Open("duckdb", "")
	if err == nil {
		_, err = db.Exec("SET enable_external_file_cache = false")
	}
	return db, err
})

// duckRows runs a query and prints every row.
func duckRows(t testing.TB, query string) []string {
	t.Helper()
	db, err := duckDB()
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if at, ok := v.(time.Time); ok {
				values[i] = at.UTC()
			}
		}
		out = append(out, fmt.Sprintf("%v", values))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

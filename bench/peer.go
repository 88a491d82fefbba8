//go:build unix

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2" // registers the driver
)

// The peer is the obvious alternative: DuckDB reads the saved pages, unnests the lists,
// and writes one Parquet file per table, with the columns of our tables.
const peerPages = `CREATE TEMP TABLE pages AS
SELECT row_number() OVER () - 1 AS image_index, * FROM read_json(%s, format = 'array', maximum_object_size = 67108864, columns = {
  id: 'VARCHAR', created: 'TIMESTAMP', width: 'INTEGER', height: 'INTEGER', imageUri: 'VARCHAR', thumbnailUri: 'VARCHAR',
  predictions: 'STRUCT(probability DOUBLE, tagId VARCHAR, tagName VARCHAR, boundingBox STRUCT("left" DOUBLE, top DOUBLE, width DOUBLE, height DOUBLE))[]',
  tags: 'STRUCT(tagId VARCHAR, tagName VARCHAR, created TIMESTAMP)[]',
  regions: 'STRUCT(regionId VARCHAR, tagName VARCHAR, created TIMESTAMP, tagId VARCHAR, "left" DOUBLE, top DOUBLE, width DOUBLE, height DOUBLE)[]'})`

var peerTables = map[string]string{
	"images": `id AS image_id, image_index::INTEGER AS image_index, created::TIMESTAMPTZ AS created, width, height,
  split_part(imageUri, '?', 1) AS image_uri, split_part(thumbnailUri, '?', 1) AS thumbnail_uri FROM pages`,
	"predictions": `id AS image_id, (n - 1)::INTEGER AS prediction_index, v.tagId AS tag_id, v.tagName AS tag_name, v.probability,
  v.boundingBox."left" AS box_left, v.boundingBox.top AS box_top, v.boundingBox.width AS box_width, v.boundingBox.height AS box_height
  FROM (SELECT id, unnest(predictions) AS v, generate_subscripts(predictions, 1) AS n FROM pages)`,
	"tags": `id AS image_id, (n - 1)::INTEGER AS tag_index, v.tagId AS tag_id, v.tagName AS tag_name, v.created::TIMESTAMPTZ AS created
  FROM (SELECT id, unnest(tags) AS v, generate_subscripts(tags, 1) AS n FROM pages)`,
	"regions": `id AS image_id, (n - 1)::INTEGER AS region_index, v.regionId AS region_id, v.tagId AS tag_id, v.tagName AS tag_name,
  v.created::TIMESTAMPTZ AS created, v."left" AS box_left, v.top AS box_top, v.width AS box_width, v.height AS box_height
  FROM (SELECT id, unnest(regions) AS v, generate_subscripts(regions, 1) AS n FROM pages)`,
}

// peer converts the pages of a folder into Parquet files in another.
func peer(ctx context.Context, pages, out string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // the temporary table belongs to a connection
	if _, err := db.ExecContext(ctx, fmt.Sprintf(peerPages, quote(filepath.Join(pages, "*.json")))); err != nil {
		return err
	}
	for table, columns := range peerTables {
		if err := os.MkdirAll(filepath.Join(out, table), 0o755); err != nil {
			return err
		}
		copying := fmt.Sprintf("COPY (SELECT '01000000-0000-0000-0000-000000000000' AS export_id, %s) TO %s (FORMAT parquet, COMPRESSION zstd)",
			columns, quote(filepath.Join(out, table, "data.parquet")))
		if _, err := db.ExecContext(ctx, copying); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	return nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// scans are queries for the predictions of a folder.
var scans = []struct{ name, sql string }{
	{"aggregate over predictions", "SELECT tag_name, count(*), avg(probability), max(box_width * box_height) FROM %s GROUP BY tag_name"},
	{"one image's rows", "SELECT * FROM %s WHERE image_id = (SELECT image_id FROM %[1]s LIMIT 1 OFFSET 200000)"},
	{"one tag's rows", "SELECT sum(probability), sum(box_left) FROM %s WHERE tag_id = (SELECT tag_id FROM %[1]s LIMIT 1)"},
}

// scan times the queries on several folders in turn. It prints JSON: for each folder and
// query, the milliseconds of each run.
func scan(ctx context.Context, runs int, folders []string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer db.Close()
	took := make([][][]float64, len(folders))
	for run := range runs + 1 { // the first warms up
		for f, folder := range folders {
			for q, question := range scans {
				if run == 0 {
					took[f] = append(took[f], nil)
				}
				files := fmt.Sprintf("read_parquet(%s)", quote(filepath.Join(folder, "predictions", "**", "*.parquet")))
				began := time.Now()
				rows, err := db.QueryContext(ctx, fmt.Sprintf(question.sql, files))
				if err != nil {
					return err
				}
				for rows.Next() {
				}
				if err := rows.Err(); err != nil {
					return err
				}
				if err := rows.Close(); err != nil {
					return err
				}
				if run > 0 {
					took[f][q] = append(took[f][q], float64(time.Since(began))/1e6)
				}
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(took)
}

package viewtest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/schema"
)

var benchImages = flag.Int("bench-images", 100_000, "images of each iteration that the views and functions are timed on; each has 100 predictions")

// The iterations of the benchmark's warehouse.
var (
	benchDetector   = place{ProjectID: "d0000000-0000-4000-8000-000000000000", IterationID: "d0000000-0000-4000-8000-000000000001"}
	benchBefore     = place{ProjectID: benchDetector.ProjectID, IterationID: "d0000000-0000-4000-8000-000000000002"}
	benchClassifier = place{ProjectID: "c0000000-0000-4000-8000-000000000000", IterationID: "c0000000-0000-4000-8000-000000000001"}
)

// Rows are drawn by hashes, so that they are the same at every run. An image of
// the detector has 5 regions of 20 tags; of its 100 boxes 5 are about those
// regions, and the others, less sure, anywhere. An image of the classifier has
// 3 of 100 tags, and a prediction of each.
var benchTables = map[string]struct{ detector, classifier string }{
	"images": {
		detector:   "SELECT export_id, image_id, i::INTEGER AS image_index, 'https://example.com/' || image_id AS image_uri FROM image",
		classifier: "SELECT export_id, image_id, i::INTEGER AS image_index, 'https://example.com/' || image_id AS image_uri FROM image",
	},
	"predictions": {
		detector: `SELECT export_id, image_id, j::INTEGER AS prediction_index, tag(draw(i, j, IF(j < 5, 0, 1)) * 20) AS tag_id, tag_id AS tag_name,
			IF(j < 5, 1 - 0.6 * draw(i, j, 2 + {salt}), draw(i, j, 2 + {salt}) ** 4) AS probability,
			IF(j < 5, 0.6 * draw(i, j, 11) + 0.03 * draw(i, j, 3 + {salt}), 0.6 * draw(i, j, 3 + {salt})) AS box_left,
			IF(j < 5, 0.6 * draw(i, j, 12) + 0.03 * draw(i, j, 4 + {salt}), 0.6 * draw(i, j, 4 + {salt})) AS box_top,
			0.1 + 0.3 * draw(i, j, 13) AS box_width, 0.1 + 0.3 * draw(i, j, 14) AS box_height
			FROM image, range(100) AS r(j)`,
		classifier: `SELECT export_id, image_id, j::INTEGER AS prediction_index, tag(j) AS tag_id, tag_id AS tag_name,
			IF(j IN (trunc(draw(i, 0, 0) * 100), trunc(draw(i, 1, 0) * 100), trunc(draw(i, 2, 0) * 100)), 1 - draw(i, j, 1) ** 2, draw(i, j, 1) ** 8) AS probability,
			NULL::DOUBLE AS box_left, NULL::DOUBLE AS box_top, NULL::DOUBLE AS box_width, NULL::DOUBLE AS box_height
			FROM image, range(100) AS r(j)`,
	},
	"tags": {
		detector:   "SELECT export_id, image_id, j::INTEGER AS tag_index, tag(draw(i, j, 0) * 20) AS tag_id, tag_id AS tag_name FROM image, range(5) AS r(j)",
		classifier: "SELECT export_id, image_id, j::INTEGER AS tag_index, tag(draw(i, j, 0) * 100) AS tag_id, tag_id AS tag_name FROM image, range(3) AS r(j)",
	},
	"regions": {
		detector: `SELECT export_id, image_id, j::INTEGER AS region_index, md5('region' || image_id || j)::UUID::VARCHAR AS region_id,
			tag(draw(i, j, 0) * 20) AS tag_id, tag_id AS tag_name, 0.6 * draw(i, j, 11) AS box_left, 0.6 * draw(i, j, 12) AS box_top,
			0.1 + 0.3 * draw(i, j, 13) AS box_width, 0.1 + 0.3 * draw(i, j, 14) AS box_height
			FROM image, range(5) AS r(j)`,
		classifier: `SELECT export_id, image_id, 0::INTEGER AS region_index, '' AS region_id, '' AS tag_id, '' AS tag_name,
			0.0::DOUBLE AS box_left, 0.0::DOUBLE AS box_top, 0.0::DOUBLE AS box_width, 0.0::DOUBLE AS box_height FROM image WHERE false`,
	},
	"tag_performance": {
		detector:   "SELECT 'export' AS export_id, tag(t) AS tag_id, tag_id AS tag_name, 0.9::DOUBLE AS precision, 0.8::DOUBLE AS recall, 0.7::DOUBLE AS average_precision FROM range(20) AS r(t)",
		classifier: "SELECT 'export' AS export_id, tag(t) AS tag_id, tag_id AS tag_name, 0.9::DOUBLE AS precision, 0.8::DOUBLE AS recall, 0.7::DOUBLE AS average_precision FROM range(100) AS r(t)",
	},
	"exports": {
		detector:   benchExport + "'detection' AS model_kind",
		classifier: benchExport + "'classification' AS model_kind",
	},
}

const benchExport = `SELECT 'export' AS export_id, 0.5::DOUBLE AS probability_threshold, 0.3::DOUBLE AS overlap_threshold,
	0.9::DOUBLE AS precision, 0.8::DOUBLE AS recall, 0.7::DOUBLE AS average_precision,
	{images} AS images, {images} * 100 AS predictions, {images} * 5 AS tags, {images} * 5 AS regions, 20::BIGINT AS tag_performance, `

// makeBenchWarehouse writes the files of the benchmark as cvexport would, one a
// table and iteration.
func makeBenchWarehouse(b *testing.B, root string) {
	b.Helper()
	db := exported.Open(b, b.TempDir())
	execute(b, db, fmt.Sprintf("CREATE TABLE image AS SELECT i, md5('image' || i)::UUID::VARCHAR AS image_id, 'export' AS export_id FROM range(%d) AS r(i)", *benchImages))
	execute(b, db, "CREATE MACRO draw(i, j, salt) AS hash(i, j, salt) / 18446744073709551616.0")
	execute(b, db, "CREATE MACRO tag(t) AS md5('tag' || trunc(t)::INTEGER)::UUID::VARCHAR")
	for table, queries := range benchTables {
		for at, query := range map[place]string{
			benchDetector:   strings.ReplaceAll(queries.detector, "{salt}", "0"),
			benchBefore:     strings.ReplaceAll(queries.detector, "{salt}", "100"),
			benchClassifier: queries.classifier,
		} {
			folder := filepath.Join(root, table, "project_id="+at.ProjectID, "iteration_id="+at.IterationID)
			if err := os.MkdirAll(folder, 0o755); err != nil {
				b.Fatal(err)
			}
			execute(b, db, fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, ROW_GROUP_SIZE 500000)",
				strings.ReplaceAll(query, "{images}", fmt.Sprintf("%d::BIGINT", *benchImages)), filepath.Join(folder, "data.parquet")))
		}
	}
}

// BenchmarkEvaluation is each view and function, with its defaults, over one
// iteration of 10 million predictions: every column of every row.
func BenchmarkEvaluation(b *testing.B) {
	root := b.TempDir()
	makeBenchWarehouse(b, root)
	db := exported.Open(b, root)
	measure := func(name, from string) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				rowsOf(b, db, "SELECT max(COLUMNS(*)) FROM "+from)
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/call")
		})
	}
	for _, kind := range []struct {
		name string
		at   place
	}{{"detector", benchDetector}, {"classifier", benchClassifier}} {
		where := fmt.Sprintf(" WHERE project_id = '%s' AND iteration_id = '%s'", kind.at.ProjectID, kind.at.IterationID)
		measure(kind.name+"/predictions", "predictions"+where)
		for _, v := range schema.Views() {
			a := arguments{0.5, 0.3, benchBefore, benchDetector}
			if kind.at == benchClassifier {
				a.before, a.after = benchClassifier, benchClassifier
			}
			switch {
			case comparesTwo(v):
				measure(kind.name+"/"+v.Name, call(v, a))
			case len(v.Arguments) > 0:
				measure(kind.name+"/"+v.Name, v.Name+"()"+where)
			default:
				measure(kind.name+"/"+v.Name, v.Name+where)
			}
		}
	}
}

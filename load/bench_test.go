package load

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// predictionPage is a record of one page: 256 images x 40 predictions of 40
// tags. Pages differ by their number.
func predictionPage(number int) arrow.RecordBatch {
	const images, tags = 256, 40
	random := rand.New(rand.NewPCG(1, uint64(number)))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Predictions.Record(schema.ID{1}))
	defer b.Release()
	text := func(c, value string) {
		if err := b.Field(schema.Predictions.Column(c)).(*array.BinaryDictionaryBuilder).AppendString(value); err != nil {
			panic(err) // memory alone
		}
	}
	double := func(c string) *array.Float64Builder {
		return b.Field(schema.Predictions.Column(c)).(*array.Float64Builder)
	}
	for range images {
		var image schema.ID
		for i := range image {
			image[i] = byte(random.Uint32())
		}
		for t := range tags {
			text("export_id", schema.ID{1}.String())
			text("image_id", image.String())
			b.Field(schema.Predictions.Column("prediction_index")).(*array.Int32Builder).Append(int32(t))
			text("tag_id", schema.ID{byte(t)}.String())
			text("tag_name", fmt.Sprintf("tag %d", t))
			for _, c := range []string{"probability", "box_left", "box_top", "box_width", "box_height"} {
				double(c).Append(float64(random.Float32()))
			}
		}
	}
	return b.NewRecordBatch()
}

// rowGroupSizes are half of DuckDB's own, that, and up to BigQuery's liking.
var rowGroupSizes = []int64{61_440, tablefile.RowGroupRows, 250_000, 500_000}

// spoolPages writes a million predictions, a page at a time.
func spoolPages(b *testing.B, pages []arrow.RecordBatch, rowGroup int64) *Table {
	b.Helper()
	spool, err := newSpool(b.TempDir(), schema.Predictions, schema.ID{1}, rowGroup)
	if err != nil {
		b.Fatal(err)
	}
	for _, page := range pages {
		if err := spool.append(page); err != nil {
			b.Fatal(err)
		}
	}
	table, err := spool.finish()
	if err != nil {
		b.Fatal(err)
	}
	return table
}

func predictionPages(b *testing.B) []arrow.RecordBatch {
	pages := make([]arrow.RecordBatch, 100)
	for i := range pages {
		pages[i] = predictionPage(i)
		b.Cleanup(pages[i].Release)
	}
	return pages
}

// BenchmarkSpool: rows written a second, and the bytes a row takes.
func BenchmarkSpool(b *testing.B) {
	pages := predictionPages(b)
	for _, rowGroup := range rowGroupSizes {
		b.Run(fmt.Sprintf("rowgroup=%d", rowGroup), func(b *testing.B) {
			b.ReportAllocs()
			var rows, bytes int64
			for b.Loop() {
				table := spoolPages(b, pages, rowGroup)
				rows, bytes = table.Rows(), table.Size()
				if err := table.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(bytes)/float64(rows), "B/row")
		})
	}
}

// BenchmarkScan is DuckDB reading such a file: an aggregate over all rows.
func BenchmarkScan(b *testing.B) {
	pages := predictionPages(b)
	db, err := sql.Open("duckdb", "")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	for _, rowGroup := range rowGroupSizes {
		b.Run(fmt.Sprintf("rowgroup=%d", rowGroup), func(b *testing.B) {
			table := spoolPages(b, pages, rowGroup)
			defer table.Close()
			path := filepath.Join(b.TempDir(), "data.parquet")
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			if err := errors.Join(store.Copy(b.Context(), f, table), f.Close()); err != nil {
				b.Fatal(err)
			}
			query := fmt.Sprintf("SELECT count(DISTINCT tag_name) FROM (SELECT tag_name, avg(probability) FROM read_parquet('%s') WHERE box_width > 0.1 GROUP BY ALL)", path)
			for b.Loop() {
				var tags int
				if err := db.QueryRowContext(b.Context(), query).Scan(&tags); err != nil || tags != 40 {
					b.Fatal(tags, err)
				}
			}
		})
	}
}

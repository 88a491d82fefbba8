package load

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// predictionPage is a record of one page: images x 40 predictions of 40 tags.
func predictionPage(images int) arrow.RecordBatch {
	const tags = 40
	random := rand.New(rand.NewPCG(1, 1))
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema.Predictions.Arrow(schema.ID{1}))
	defer b.Release()
	text := func(c string) *array.StringBuilder {
		return b.Field(schema.Predictions.Column(c)).(*array.StringBuilder)
	}
	number := func(c string) *array.Float64Builder {
		return b.Field(schema.Predictions.Column(c)).(*array.Float64Builder)
	}
	for range images {
		image := schema.ID{byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32()), byte(random.Uint32())}
		for t := range tags {
			text("export_id").Append(schema.ID{1}.String())
			text("image_id").Append(image.String())
			b.Field(schema.Predictions.Column("prediction_index")).(*array.Int32Builder).Append(int32(t))
			text("tag_id").Append(schema.ID{byte(t)}.String())
			text("tag_name").Append(fmt.Sprintf("tag %d", t))
			number("probability").Append(float64(float32(random.Float64())))
			for _, side := range []string{"box_left", "box_top", "box_width", "box_height"} {
				number(side).Append(float64(float32(random.Float64())))
			}
		}
	}
	return b.NewRecordBatch()
}

// BenchmarkSpool writes a million predictions, a page at a time, into row
// groups of several sizes: rows a second, and the bytes a row takes.
func BenchmarkSpool(b *testing.B) {
	const pages, images = 100, 256
	page := predictionPage(images)
	defer page.Release()
	for _, rows := range []int64{122_880, 250_000, RowGroupRows, 1_000_000} {
		b.Run(fmt.Sprintf("rowgroup=%d", rows), func(b *testing.B) {
			b.ReportAllocs()
			var bytes int64
			for b.Loop() {
				spool, err := newSpool(b.TempDir(), schema.Predictions, schema.ID{1}, memory.DefaultAllocator, rows)
				if err != nil {
					b.Fatal(err)
				}
				for range pages {
					if err := spool.Append(page); err != nil {
						b.Fatal(err)
					}
				}
				table, err := spool.Finish()
				if err != nil {
					b.Fatal(err)
				}
				bytes = table.Size()
				if err := table.Close(); err != nil {
					b.Fatal(err)
				}
			}
			total := float64(pages) * float64(page.NumRows())
			b.ReportMetric(total*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(bytes)/total, "B/row")
		})
	}
}

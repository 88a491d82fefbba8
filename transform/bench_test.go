package transform

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// BenchmarkDecode reads one page of 256 images with 40 predictions and up to 5
// regions each: into Arrow records, and with encoding/json into structs.
func BenchmarkDecode(b *testing.B) {
	service, err := simulated.New(simulated.Config{Kind: simulated.Detection, Images: 256, Predictions: 40, Regions: 5})
	if err != nil {
		b.Fatal(err)
	}
	body := service.AppendPage(nil, 0, 0, 0, 256)
	b.Run("records", func(b *testing.B) {
		d := NewDecoder(Options{ExportID: exportID})
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			records, err := d.Decode(body, 0, nil)
			if err != nil {
				b.Fatal(err)
			}
			records.Release()
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			var page oraclePage
			if err := json.Unmarshal(body, &page); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkColumns collects 10,240 predictions of 40 tags, as many as a page has, and
// makes a record of them: in our columns, and in Arrow's builders.
func BenchmarkColumns(b *testing.B) {
	const images, tags = 256, 40
	var imageIDs, tagIDs [][]byte
	for i := range images {
		imageIDs = append(imageIDs, schema.ID{1, byte(i)}.Append(nil))
	}
	for i := range tags {
		tagIDs = append(tagIDs, schema.ID{2, byte(i)}.Append(nil))
	}
	b.Run("ours", func(b *testing.B) {
		c := newPredictionColumns(exportID)
		b.ReportAllocs()
		for b.Loop() {
			for _, image := range imageIDs {
				from := c.n()
				for n, tag := range tagIDs {
					i := c.tagID.index(tag)
					c.tagID.append(i)
					c.tagName.append(c.tagName.index(tag))
					c.probability.append(float64(n))
					c.box.append(&[4]float64{1, 2, 3, 4}, true)
				}
				c.appendImage(tagIDs[0], image, from)
			}
			c.record(memory.DefaultAllocator).Release()
		}
	})
	b.Run("arrow", func(b *testing.B) {
		r := array.NewRecordBuilder(memory.DefaultAllocator, schema.Predictions.Record(exportID))
		defer r.Release()
		words := func(column string) *array.BinaryDictionaryBuilder {
			return r.Field(schema.Predictions.Column(column)).(*array.BinaryDictionaryBuilder)
		}
		exportIDs, imageID, tagID, tagName := words("export_id"), words("image_id"), words("tag_id"), words("tag_name")
		index := r.Field(schema.Predictions.Column("prediction_index")).(*array.Int32Builder)
		var doubles []*array.Float64Builder
		for _, column := range []string{"probability", "box_left", "box_top", "box_width", "box_height"} {
			doubles = append(doubles, r.Field(schema.Predictions.Column(column)).(*array.Float64Builder))
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, image := range imageIDs {
				for n, tag := range tagIDs {
					if err := errors.Join(exportIDs.Append(tagIDs[0]), imageID.Append(image), tagID.Append(tag), tagName.Append(tag)); err != nil {
						b.Fatal(err)
					}
					index.Append(int32(n))
					for _, column := range doubles {
						column.Append(float64(n))
					}
				}
			}
			r.NewRecordBatch().Release()
		}
	})
}

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

// A page as encoding/json reads it.

type jsonPage []jsonImage

type jsonImage struct {
	Predictions  []jsonPrediction `json:"predictions,omitempty"`
	ID           string           `json:"id"`
	Created      *string          `json:"created,omitempty"`
	Width        *int32           `json:"width,omitempty"`
	Height       *int32           `json:"height,omitempty"`
	ImageURI     *string          `json:"imageUri,omitempty"`
	ThumbnailURI *string          `json:"thumbnailUri,omitempty"`
	Tags         []jsonLabel      `json:"tags,omitempty"`
	Regions      []jsonLabel      `json:"regions,omitempty"`
}

type jsonPrediction struct {
	Probability json.Number `json:"probability"`
	TagID       string      `json:"tagId"`
	TagName     *string     `json:"tagName,omitempty"`
	BoundingBox *jsonBox    `json:"boundingBox,omitempty"`
}

type jsonBox struct {
	Left   json.Number `json:"left"`
	Top    json.Number `json:"top"`
	Width  json.Number `json:"width"`
	Height json.Number `json:"height"`
}

type jsonLabel struct {
	RegionID string  `json:"regionId,omitempty"`
	TagName  *string `json:"tagName,omitempty"`
	Created  *string `json:"created,omitempty"`
	TagID    string  `json:"tagId"`
	jsonBoxOrNone
}

type jsonBoxOrNone struct {
	Left   json.Number `json:"left,omitempty"`
	Top    json.Number `json:"top,omitempty"`
	Width  json.Number `json:"width,omitempty"`
	Height json.Number `json:"height,omitempty"`
}

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
			var page jsonPage
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
		c := newPredictionRows(exportID)
		names := c.columns[schema.Predictions.Column("tag_name")].(*tagColumn)
		var doubles []*column[float64]
		for _, name := range []string{"probability", "box_left", "box_top", "box_width", "box_height"} {
			doubles = append(doubles, c.columns[schema.Predictions.Column(name)].(*column[float64]))
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, image := range imageIDs {
				for n, tag := range tagIDs {
					c.tagID.append(c.tagID.index(tag))
					names.append(names.index(tag))
					for _, column := range doubles {
						column.append(float64(n))
					}
				}
				c.endImage(image)
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

package transform

import (
	"encoding/json"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
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

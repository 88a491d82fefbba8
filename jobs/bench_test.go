package jobs

import (
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// BenchmarkExport is the whole pipeline over loopback HTTP, publishing
// included: images a second.
func BenchmarkExport(b *testing.B) {
	const images = 2560
	for _, kind := range []simulated.Kind{simulated.Multilabel, simulated.Detection} {
		b.Run(string(kind), func(b *testing.B) {
			bench := newBench(b, simulated.Config{Kind: kind, Images: images, Predictions: 40, Regions: 5})
			r := bench.request()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Export(b.Context(), bench.client, bench.store, r); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(images*b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

//go:build !windows

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/internal/simulated"
)

// A nightly run that is killed twenty times, then completed, leaves the same rows as an
// undisturbed one.
func TestKillNightly(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it kills processes")
	}
	service, err := simulated.New(simulated.Config{Seed: 6, Kind: simulated.Detection, Projects: 3, Iterations: 3, Failed: 1, Training: 2, Images: 400})
	if err != nil {
		t.Fatal(err)
	}
	calm, b := newHarness(t, service), newHarness(t, service)
	calm.args = []string{"nightly", "--warehouse", calm.root, "--rate", "100000"}
	b.args = []string{"nightly", "--warehouse", b.root, "--rate", "100000"}
	if out, err := calm.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	random := rand.New(rand.NewPCG(3, 4))
	killed, rounds := 0, 0
	for ; killed < 20; rounds++ {
		// There is always something to do: iterations seem to change, as when they are published.
		service.Modify(random.IntN(3), random.IntN(3))
		service.Modify(random.IntN(3), random.IntN(3))
		requests, objects := random.IntN(30), 0
		b.hold.Store(int64(requests))
		if requests == 0 || rounds%2 == 1 {
			b.hold.Store(0)
			requests, objects = 0, 1+random.IntN(12)
		}
		if b.killAt(t, requests, objects) {
			killed++
		}
		b.objects(t)
	}
	t.Logf("%d of %d runs were killed", killed, rounds)
	b.hold.Store(0)
	if out, err := b.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if report := b.verify(t); len(report.Findings) > 0 || report.Iterations != 9 || len(report.Uncommitted) > 0 {
		t.Errorf("after the next run: %+v", report)
	}
	want, got := calm.rows(t), b.rows(t)
	if len(want) != 45 || len(got) != len(want) {
		t.Fatalf("%d objects of data, want %d, which should be 45", len(got), len(want))
	}
	for key, sum := range want {
		if got[key] != sum {
			t.Errorf("%s has different rows", key)
		}
	}
}

// rows returns a hash of each data object's rows, without the export's id, which
// differs between exports.
func (h *harness) rows(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for path := range h.objects(t) {
		key := strings.TrimPrefix(path, h.root)
		if strings.HasPrefix(key, "/exports/") {
			continue
		}
		f, err := file.OpenParquetFile(path, false)
		if err != nil {
			t.Fatal(err)
		}
		reader, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
		if err != nil {
			t.Fatal(err)
		}
		table, err := reader.ReadTable(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		for i := range int(table.NumCols()) {
			if column := table.Column(i); column.Name() != "export_id" {
				for _, chunk := range column.Data().Chunks() {
					for row := range chunk.Len() {
						hash.Write([]byte(column.Name() + "=" + chunk.ValueStr(row) + "\n"))
					}
				}
			}
		}
		sums[key] = hex.EncodeToString(hash.Sum(nil))
		table.Release()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return sums
}

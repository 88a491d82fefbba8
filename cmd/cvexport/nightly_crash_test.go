//go:build !windows

package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"github.com/cvexport/cvexport/internal/simulated"
)

// A nightly run killed twenty times, then run to its end, leaves the rows of an
// undisturbed one.
func TestKillNightly(t *testing.T) {
	service, err := simulated.New(simulated.Config{Seed: 6, Kind: simulated.Detection, Projects: 3, Iterations: 3, Failed: 1, Training: 2, Images: 400})
	if err != nil {
		t.Fatal(err)
	}
	calm, b := newCrashBench(t, service), newCrashBench(t, service)
	calm.args = []string{"nightly", "--warehouse", calm.root, "--rate", "100000"}
	b.args = []string{"nightly", "--warehouse", b.root, "--rate", "100000"}
	started := time.Now()
	if out, err := calm.command().CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	whole := time.Since(started)
	random := rand.New(rand.NewPCG(3, 4))
	killed, rounds := 0, 0
	for ; killed < 20 && rounds < 100; rounds++ {
		// There is always something to do: iterations look changed, as when they are published.
		service.Modify(random.IntN(3), random.IntN(3))
		service.Modify(random.IntN(3), random.IntN(3))
		cmd := b.command()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(random.Int64N(int64(whole)/2)), func() { cmd.Process.Kill() })
		var exit *exec.ExitError
		if err := cmd.Wait(); errors.As(err, &exit) && exit.ExitCode() == -1 {
			killed++
		} else if err != nil {
			t.Fatal(err)
		}
		timer.Stop()
		b.objects(t)
	}
	t.Logf("%d of %d runs were killed", killed, rounds)
	if killed < 20 {
		t.Error("few runs were killed: the test shows little")
	}
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
			t.Errorf("%s has other rows", key)
		}
	}
}

// rows is a hash of the rows of every object of data, without the export's id,
// which differs between exports.
func (b *crashBench) rows(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for path := range b.objects(t) {
		key := strings.TrimPrefix(path, b.root)
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

package load

import (
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// The unwritten rows of all tables never take more than maxBuffered bytes, however long
// they are. Rows written early are in the file like the rest.
func TestSpoolsBound(t *testing.T) {
	mem := checkedMemory(t)
	s, err := NewSpools(t.TempDir(), schema.Evaluation, exportA)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	wide := goldenRows(schema.Images, 40)
	for _, r := range wide {
		r[schema.Images.Column("image_uri")] = strings.Repeat("u", 40_000)
	}
	images, predictions := record(mem, schema.Images, wide), record(mem, schema.Predictions, goldenRows(schema.Predictions, 5000))
	defer images.Release()
	defer predictions.Release()
	const times = 30
	for range times {
		for _, rec := range []arrow.RecordBatch{images, predictions} {
			table := schema.Images
			if rec == predictions {
				table = schema.Predictions
			}
			if err := s.Append(table, rec); err != nil {
				t.Fatal(err)
			}
			buffered := int64(0)
			for _, spool := range s.spools {
				buffered += spool.writer.Buffered()
			}
			if buffered > maxBuffered {
				t.Fatalf("%d bytes are buffered, more than %d", buffered, maxBuffered)
			}
		}
	}
	tables, err := s.Finish()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{times * 40, times * 5000, 0, 0, 0} {
		if got := tables[i].Rows(); got != want {
			t.Errorf("table %s has %d rows, want %d", tables[i].Schema().Name, got, want)
		}
	}
	fr, err := tablefile.Open(tables[0], tables[0].Size())
	if err != nil {
		t.Fatal(err)
	}
	if got := fr.RowGroups(); got < 3 {
		t.Errorf("images of %d MB have %d row groups", times*40*40_000/1_000_000, got)
	}
}

func TestSpoolsRefuse(t *testing.T) {
	s, err := NewSpools(t.TempDir(), schema.Evaluation, exportA)
	if err != nil {
		t.Fatal(err)
	}
	rec := record(memory.DefaultAllocator, schema.Exports, nil)
	defer rec.Release()
	if err := s.Append(schema.Exports, rec); err == nil || !strings.Contains(err.Error(), "table exports has no spool") {
		t.Errorf("error %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("closed again:", err)
	}
}

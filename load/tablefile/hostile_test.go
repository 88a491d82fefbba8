package tablefile

import (
	"bytes"
	"context"
	"runtime"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// A file that lies about what it holds is an error, whichever way it is read, and takes
// no more memory than a sound one does.
func TestHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	const limit = 300 << 20 // bytes, of all that is allocated
	id := tablefiletest.ExportID
	for name, body := range tablefiletest.Hostile(t, schema.Images, id) {
		t.Run(name, func(t *testing.T) {
			for reader, read := range map[string]func(*Reader) error{
				"records": func(fr *Reader) error {
					return fr.Records(context.Background(), []string{"export_id", "image_id", "image_index"}, func(arrow.RecordBatch) error { return nil })
				},
				"values": func(fr *Reader) error {
					_, err := fr.Values("export_id")
					return err
				},
			} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := Guard(func() error {
					fr, err := Open(bytes.NewReader(body), int64(len(body)))
					if err != nil {
						return err
					}
					if _, err := fr.Rows(); err != nil {
						return err
					}
					return read(fr)
				})
				runtime.ReadMemStats(&after)
				if err == nil {
					t.Errorf("%s: no error", reader)
				} else if len(err.Error()) > 500 {
					t.Errorf("%s: an error of %d bytes: %.500s", reader, len(err.Error()), err)
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > limit {
					t.Errorf("%s: it took %d MiB: %v", reader, took>>20, err)
				}
				t.Logf("%s: %d KiB: %v", reader, (after.TotalAlloc-before.TotalAlloc)>>10, err)
			}
		})
	}
	body := tablefiletest.Same(t, schema.Images, id, 100_000)
	fr, err := Open(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	rows := int64(0)
	err = fr.Records(t.Context(), []string{"export_id", "image_index"}, func(rec arrow.RecordBatch) error { rows += rec.NumRows(); return nil })
	if err != nil || rows != 100_000 || fr.Metadata(schema.MetaExportID) != id.String() {
		t.Errorf("a sound file: %d rows, %v", rows, err)
	}
	if got, err := Metadata(bytes.NewReader(body), int64(len(body)), schema.MetaExportID); err != nil || got != id.String() {
		t.Errorf("its metadata: %q, %v", got, err)
	}
}

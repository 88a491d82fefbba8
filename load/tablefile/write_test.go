package tablefile

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/load/tablefile/tablefiletest"
	"github.com/cvexport/cvexport/schema"
)

// fullDisk has space for so many bytes.
type fullDisk struct {
	bytes.Buffer
	left int
}

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		n, _ := d.Buffer.Write(p[:d.left]) // a bytes.Buffer takes all
		d.left = 0
		return n, syscall.ENOSPC
	}
	d.left -= len(p)
	return d.Buffer.Write(p)
}

// TestFullDisk fills the disk at many places of a small file: always an error, never
// a panic, and all memory is released.
func TestFullDisk(t *testing.T) {
	table := schema.Predictions
	rows := tablefiletest.Golden(table, 60)
	whole := written(t, checkedMemory(t), table, table.Arrow(tablefiletest.ExportID), rows, 25, 20)
	mem := checkedMemory(t)
	rec := tablefiletest.Record(mem, table, rows[:20])
	defer rec.Release()
	write := func(disk *fullDisk) error {
		tw := NewWriter(disk, table, tablefiletest.ExportID, 25)
		for range 3 {
			if err := tw.Append(rec); err != nil {
				return errors.Join(err, tw.Close())
			}
		}
		return tw.Close()
	}
	enough := &fullDisk{left: len(whole) * 2}
	if err := write(enough); err != nil {
		t.Fatal(err)
	}
	const stride = 97 // bytes; at every one it takes too long
	for size := 0; size < enough.Len(); size += stride {
		if err := write(&fullDisk{left: size}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("space for %d of %d bytes: error %v, want %v", size, enough.Len(), err, syscall.ENOSPC)
		}
	}
}

// A column has a dictionary if its values repeat in the file's first row group.
func TestDictionaries(t *testing.T) {
	table := schema.Tags
	for values, want := range map[int]bool{1: true, 10: true, 24: true, 25: false, 100: false} {
		mem := checkedMemory(t)
		rows := tablefiletest.Golden(table, 100)
		for i, r := range rows {
			r[table.Column("image_id")] = schema.ID{1, byte(i % values)}.String()
		}
		body := written(t, mem, table, table.Record(tablefiletest.ExportID), rows, 1000, 100)
		fr, err := Open(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			t.Fatal(err)
		}
		chunk, err := fr.file.MetaData().RowGroup(0).ColumnChunk(table.Column("image_id"))
		if err != nil {
			t.Fatal(err)
		}
		if got := chunk.HasDictionaryPage(); got != want {
			t.Errorf("%d values of 100: a dictionary: %v, want %v", values, got, want)
		}
	}
}

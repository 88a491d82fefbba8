package load

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// fullDisk takes so many bytes and then no more.
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

// TestFullDisk lets the disk fill up all over a small file: always an
// error, never a panic, and all memory comes back.
func TestFullDisk(t *testing.T) {
	table := schema.Predictions
	rows := goldenRows(table, 60)
	whole := spooled(t, checkedMemory(t), table, rows, 25, 20)
	mem := checkedMemory(t)
	rec := record(mem, table, rows[:20])
	defer rec.Release()
	write := func(disk *fullDisk) error {
		tw := newTableWriter(disk, table, exportA, 25)
		for range 3 {
			if err := tw.append(rec); err != nil {
				return errors.Join(err, tw.close())
			}
		}
		return tw.close()
	}
	enough := &fullDisk{left: int(whole.Size()) * 2}
	if err := write(enough); err != nil {
		t.Fatal(err)
	}
	const stride = 97 // bytes; at every one it takes too long
	for size := 0; size < enough.Len(); size += stride {
		if err := write(&fullDisk{left: size}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("room for %d of %d bytes: error %v, want %v", size, enough.Len(), err, syscall.ENOSPC)
		}
	}
}

// A column has a dictionary if its words repeat, in the file's first row group.
func TestDictionaries(t *testing.T) {
	table := schema.Tags
	for words, want := range map[int]bool{1: true, 10: true, 24: true, 25: false, 100: false} {
		mem := checkedMemory(t)
		rows := goldenRows(table, 100)
		for i, r := range rows {
			r[table.Column("image_id")] = schema.ID{1, byte(i % words)}.String()
		}
		tbl := spooledAs(t, mem, table, table.Record(exportA), rows, 1000, 100)
		fr, err := openParquet(tbl, tbl.Size())
		if err != nil {
			t.Fatal(err)
		}
		chunk, err := fr.ParquetReader().MetaData().RowGroup(0).ColumnChunk(table.Column("image_id"))
		if err != nil {
			t.Fatal(err)
		}
		if got := chunk.HasDictionaryPage(); got != want {
			t.Errorf("%d words of 100: a dictionary: %v, want %v", words, got, want)
		}
	}
}

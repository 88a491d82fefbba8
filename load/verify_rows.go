package load

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// exportIDOf returns the export a Parquet file says it is of, "" if it says none.
func exportIDOf(file io.ReaderAt, size int64) (id string) {
	// That the file cannot be read is what the caller is about to report.
	id, _ = tablefile.Metadata(file, size, schema.MetaExportID)
	return id
}

// rows checks what a file holds: its metadata, its columns, and every row's
// export, key and image. Only a cancelled ctx is an error.
func (c *exportCheck) rows(ctx context.Context, t schema.Table, key string, file store.Source, want int64) error {
	r := rowCheck{exportCheck: c, table: t, key: key}
	err := tablefile.Guard(func() error {
		fr, err := tablefile.Open(file, file.Size())
		if err != nil {
			return err
		}
		return r.run(ctx, fr, want)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		r.found("it cannot be read: %v", err)
		if t.Name == c.set.Data[0].Name {
			c.images = nil // not all are known
		}
	}
	return nil
}

// rowCheck checks the rows of one file.
type rowCheck struct {
	*exportCheck
	table schema.Table
	key   string

	row      int64 // rows read so far
	seen     map[schema.ID]*places
	problems []*problem
}

// problem is one kind of fault in the rows, reported once for all of them.
type problem struct {
	text  string
	rows  int64
	first string
}

func (r *rowCheck) found(format string, args ...any) {
	r.exportCheck.found(r.table.Name, r.key, format, args...)
}

// count notes that the row at r.row+i has the problem.
func (r *rowCheck) count(text string, i int, format string, args ...any) {
	for _, p := range r.problems {
		if p.text == text {
			p.rows++
			return
		}
	}
	r.problems = append(r.problems, &problem{text, 1, fmt.Sprintf("row %d: ", r.row+int64(i)) + fmt.Sprintf(format, args...)})
}

func (r *rowCheck) run(ctx context.Context, fr *tablefile.Reader, want int64) error {
	for _, m := range []struct{ key, want string }{
		{schema.MetaTable, r.table.Name},
		{schema.MetaExportID, r.export.ExportID.String()},
		{schema.MetaSchemaVersion, strconv.Itoa(int(r.export.SchemaVersion))},
	} {
		if got := fr.Metadata(m.key); got != m.want {
			r.found("its metadata says %s is %q, want %q", m.key, short(got), m.want)
		}
	}
	if !r.columns(fr) {
		return nil
	}
	n, err := fr.Rows()
	if err != nil {
		return err
	}
	if n != want {
		r.found("it has %d rows, the exports record says %d", n, want)
	}
	if err := r.scan(ctx, fr); err != nil {
		return err
	}
	for _, p := range r.problems {
		r.found("%d rows %s; the first is %s", p.rows, p.text, p.first)
	}
	if r.row != n {
		r.found("%d rows could be read, it says it has %d", r.row, n)
	}
	r.report.Rows += r.row
	return nil
}

// columns compares the file's columns with the table's. Columns are only ever
// added at the end, so an older file has fewer and a newer one has more.
func (r *rowCheck) columns(fr *tablefile.Reader) bool {
	have, err := fr.Schema()
	if err != nil {
		r.found("its columns cannot be read: %v", err)
		return false
	}
	want := r.table.Arrow(r.export.ExportID)
	fits := have.NumFields() == want.NumFields() ||
		have.NumFields() < want.NumFields() && r.export.SchemaVersion < schema.Version ||
		have.NumFields() > want.NumFields() && r.export.SchemaVersion > schema.Version
	for i := range min(have.NumFields(), want.NumFields()) {
		h, w := have.Field(i), want.Field(i)
		fits = fits && h.Name == w.Name && h.Nullable == w.Nullable && arrow.TypeEqual(h.Type, w.Type)
	}
	if !fits {
		r.found("its columns are not the table's: %s; want %s", short(tablefile.Columns(have)), tablefile.Columns(want))
	}
	return fits
}

// scan reads the columns that identify a row: the export, the image, the key.
func (r *rowCheck) scan(ctx context.Context, fr *tablefile.Reader) error {
	if r.table.Name == r.set.Data[0].Name {
		r.images = map[schema.ID]struct{}{}
	}
	r.seen = map[schema.ID]*places{}
	return fr.Records(ctx, append([]string{"export_id", "image_id"}, r.table.Key...), func(rec arrow.RecordBatch) error {
		if err := r.record(rec); err != nil {
			return err
		}
		r.row += rec.NumRows()
		return nil
	})
}

// record checks the rows of a record. A key is an id, alone or with an index.
func (r *rowCheck) record(rec arrow.RecordBatch) error {
	exports, err := columnOf[*array.String](rec, "export_id")
	if err != nil {
		return err
	}
	ids, err := columnOf[*array.String](rec, r.table.Key[0])
	if err != nil {
		return err
	}
	var indexes *array.Int32
	if len(r.table.Key) == 2 {
		if indexes, err = columnOf[*array.Int32](rec, r.table.Key[1]); err != nil {
			return err
		}
	}
	refers := r.table.Key[0] == "image_id" && r.table.Name != r.set.Data[0].Name && r.images != nil
	want := r.export.ExportID.String()
	for i := range int(rec.NumRows()) {
		if got := exports.Value(i); got != want {
			r.count("are of another export", i, "%q, not %s", short(got), want)
		}
		id, err := schema.ParseID(ids.Value(i))
		if err != nil {
			r.count("have no "+r.table.Key[0], i, "%v", err)
			continue
		}
		if r.table.Name == r.set.Data[0].Name {
			r.images[id] = struct{}{}
		}
		if refers {
			if _, known := r.images[id]; !known {
				r.count("name an image that images does not list", i, "%s", id)
			}
		}
		index := int32(0)
		if indexes != nil {
			index = indexes.Value(i)
		}
		p := r.seen[id]
		if p == nil {
			p = new(places)
			r.seen[id] = p
		}
		if fresh, fits := p.add(index); !fits {
			r.count("have an impossible "+r.table.Key[1], i, "%d", index)
		} else if !fresh {
			r.count("repeat a key", i, "%s %d", id, index)
		}
	}
	return nil
}

// short is a text of a file as a message has it.
func short(text string) string {
	const limit = 1000
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "..."
}

func columnOf[T arrow.Array](rec arrow.RecordBatch, name string) (T, error) {
	column := rec.Column(rec.Schema().FieldIndices(name)[0])
	typed, ok := column.(T)
	if !ok {
		return typed, fmt.Errorf("column %s: its type is %s", name, column.DataType())
	}
	return typed, nil
}

// places is a set of the indexes of one image's rows. They count from 0, so a
// bit each is enough, and the rows of millions of predictions fit in memory. What is far
// behind the others is in a map: one index must not take the memory of all before it.
type places struct {
	low  uint64
	high []uint64
	far  map[int32]uint64
}

// add puts i in the set. It is fresh unless it was there; what does not fit
// is no index of a row.
func (p *places) add(i int32) (fresh, fits bool) {
	if i < 0 || i >= schema.MaxItems {
		return false, false
	}
	bit, word, at := uint64(1)<<(i%64), &p.low, int(i/64)-1
	switch {
	case at < 0:
	case at > len(p.high), p.far[int32(at)] != 0:
		if p.far == nil {
			p.far = map[int32]uint64{}
		}
		was := p.far[int32(at)]
		p.far[int32(at)] = was | bit
		return was&bit == 0, true
	case at == len(p.high):
		p.high = append(p.high, 0)
		fallthrough
	default:
		word = &p.high[at]
	}
	fresh = *word&bit == 0
	*word |= bit
	return fresh, true
}

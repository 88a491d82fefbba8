package transform

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// Records are the rows of one page, a record a table; columns whose values repeat
// are dictionaries (schema.Table.Record). The owner calls Release.
type Records struct {
	Images, Predictions, Tags, Regions arrow.RecordBatch

	// IDs are the images the page listed, in its order: also those that were
	// left out of the records because an earlier page or listing already had them.
	IDs      []schema.ID
	Repeated int // of those, at the beginning, the page before had

	// Unknown counts the fields that were skipped, by their path.
	Unknown map[string]int
}

// ImageIDs returns IDs.
func (r *Records) ImageIDs() []schema.ID { return r.IDs }

// ByTable returns the record that belongs to a table that pages fill.
func (r *Records) ByTable(table string) arrow.RecordBatch {
	switch table {
	case schema.Images.Name:
		return r.Images
	case schema.Predictions.Name:
		return r.Predictions
	case schema.Tags.Name:
		return r.Tags
	case schema.Regions.Name:
		return r.Regions
	}
	return nil
}

// NumberImages sets image_index to first, first+1, and so on. A page is
// decoded before it is known how many images come before it.
func (r *Records) NumberImages(mem memory.Allocator, first int32) error {
	b := array.NewInt32Builder(mem)
	defer b.Release()
	b.Reserve(int(r.Images.NumRows()))
	for i := range int32(r.Images.NumRows()) {
		b.UnsafeAppend(first + i)
	}
	index := b.NewArray()
	defer index.Release()
	numbered, err := r.Images.SetColumn(schema.Images.Column("image_index"), index)
	if err != nil {
		return err
	}
	r.Images.Release()
	r.Images = numbered
	return nil
}

// Release gives the records' memory back.
func (r *Records) Release() {
	for _, rec := range []arrow.RecordBatch{r.Images, r.Predictions, r.Tags, r.Regions} {
		if rec != nil {
			rec.Release()
		}
	}
	r.Images, r.Predictions, r.Tags, r.Regions = nil, nil, nil, nil
}

// rows collects the rows of one table. Its columns are found by name once.
type rows struct {
	table   schema.Table
	schema  *arrow.Schema
	columns []collector // by the table's columns
}

type collector interface {
	len() int
	reset()
	array(memory.Allocator, arrow.DataType) arrow.Array
}

func newRows(t schema.Table, exportID schema.ID) *rows {
	return &rows{table: t, schema: t.Record(exportID), columns: make([]collector, len(t.Columns))}
}

func (r *rows) text(name string) *texts {
	c := new(texts)
	r.columns[r.table.Column(name)] = c
	return c
}

func (r *rows) dictionary(name string) *dictionary {
	c := &dictionary{known: map[string]int32{}}
	r.columns[r.table.Column(name)] = c
	return c
}

func numbers[T int32 | float64 | arrow.Timestamp](r *rows, name string) *column[T] {
	c := new(column[T])
	r.columns[r.table.Column(name)] = c
	return c
}

func (r *rows) box() (b boxColumns) {
	for i, part := range [...]string{"box_left", "box_top", "box_width", "box_height"} {
		b[i] = numbers[float64](r, part)
	}
	return b
}

// record makes a record of what was collected, and starts anew.
func (r *rows) record(mem memory.Allocator) arrow.RecordBatch {
	arrays := make([]arrow.Array, len(r.columns))
	for i, c := range r.columns {
		arrays[i] = c.array(mem, r.schema.Field(i).Type)
	}
	rec := array.NewRecordBatch(r.schema, arrays, int64(r.columns[0].len()))
	for _, a := range arrays {
		a.Release()
	}
	r.discard()
	return rec
}

// discard drops what was collected; the columns may differ in length.
func (r *rows) discard() {
	for _, c := range r.columns {
		c.reset()
	}
}

// text is a string of the page that may be absent. Its bytes belong to the
// page's body, so they are appended before the page goes.
type text struct {
	bytes   []byte
	present bool
}

// micros is a time that may be absent.
type micros struct {
	value   int64
	present bool
}

func (m micros) appendTo(c *column[arrow.Timestamp]) { c.appendIf(m.present, arrow.Timestamp(m.value)) }

// count is an int32 that may be absent.
type count struct {
	value   int32
	present bool
}

package transform

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// Records are the rows of one page, a record a table. The owner calls Release.
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

// rows builds one table's record. The columns are found by name once.
type rows struct {
	table   schema.Table
	builder *array.RecordBuilder
	n       int // rows of the record being built
}

func newRows(mem memory.Allocator, t schema.Table, exportID schema.ID) *rows {
	return &rows{table: t, builder: array.NewRecordBuilder(mem, t.Arrow(exportID))}
}

func (r *rows) text(column string) *array.BinaryBuilder {
	return r.builder.Field(r.table.Column(column)).(*array.StringBuilder).BinaryBuilder
}

func (r *rows) int32(column string) *array.Int32Builder {
	return r.builder.Field(r.table.Column(column)).(*array.Int32Builder)
}

func (r *rows) float(column string) *array.Float64Builder {
	return r.builder.Field(r.table.Column(column)).(*array.Float64Builder)
}

func (r *rows) time(column string) *array.TimestampBuilder {
	return r.builder.Field(r.table.Column(column)).(*array.TimestampBuilder)
}

func (r *rows) box() (b boxColumns) {
	for i, part := range [...]string{"box_left", "box_top", "box_width", "box_height"} {
		b[i] = r.float(part)
	}
	return b
}

// record hands over what was built and starts anew, with room for as much: pages
// are alike, and growing by doubling costs copies.
func (r *rows) record() arrow.RecordBatch {
	rec := r.builder.NewRecordBatch()
	for i, column := range r.builder.Fields() {
		column.Reserve(r.n)
		if text, ok := column.(*array.StringBuilder); ok {
			text.ReserveData(len(rec.Column(i).(*array.String).ValueBytes()))
		}
	}
	r.n = 0
	return rec
}

// discard drops what was built; the columns may differ in length.
func (r *rows) discard() {
	r.n = 0
	for _, column := range r.builder.Fields() {
		column.NewArray().Release()
	}
}

// boxColumns are left, top, width and height.
type boxColumns [4]*array.Float64Builder

func (b boxColumns) append(box [4]float64, present bool) {
	for i, column := range b {
		if present {
			column.Append(box[i])
		} else {
			column.AppendNull()
		}
	}
}

// text is a string of the page that may be absent. Its bytes belong to the
// page's body, so they are appended before the page goes.
type text struct {
	bytes   []byte
	present bool
}

func (t text) appendTo(b *array.BinaryBuilder) {
	if t.present {
		b.Append(t.bytes)
	} else {
		b.AppendNull()
	}
}

// micros is a time that may be absent.
type micros struct {
	value   int64
	present bool
}

func (m micros) appendTo(b *array.TimestampBuilder) {
	if m.present {
		b.Append(arrow.Timestamp(m.value))
	} else {
		b.AppendNull()
	}
}

// count is an int32 that may be absent.
type count struct {
	value   int32
	present bool
}

func (c count) appendTo(b *array.Int32Builder) {
	if c.present {
		b.Append(c.value)
	} else {
		b.AppendNull()
	}
}

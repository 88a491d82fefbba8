package transform

import (
	"fmt"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// Records are the rows of one page, one record for each table; columns whose values
// repeat are dictionaries (schema.Table.Record). The owner calls Release.
type Records struct {
	Images, Predictions, Tags, Regions arrow.RecordBatch

	// IDs are the images on the page, in its order, including those that were left
	// out of the records because an earlier page or listing already had them.
	IDs      []schema.ID
	Repeated int // how many of them, at the beginning, the page before had

	// Unknown counts the fields that were skipped, by their path.
	Unknown map[string]int

	// Unread has the fields with a time that could not be read, such as tags[].created,
	// and the first such text of each, as it is written. The rows have nulls there.
	Unread map[string]string
}

// ImageIDs returns IDs.
func (r *Records) ImageIDs() []schema.ID { return r.IDs }

// ByTable returns the record of one of the tables that pages fill, nil for another.
func (r *Records) ByTable(table string) arrow.RecordBatch {
	return map[string]arrow.RecordBatch{
		schema.Images.Name: r.Images, schema.Predictions.Name: r.Predictions, schema.Tags.Name: r.Tags, schema.Regions.Name: r.Regions,
	}[table]
}

// NumberImages sets image_index to first, first+1, and so on. A page is
// decoded before it is known how many images come before it.
func (r *Records) NumberImages(mem memory.Allocator, first int32) error {
	var index column[int32]
	for i := range int32(r.Images.NumRows()) {
		index.append(first + i)
	}
	numbers := index.array(mem, arrow.PrimitiveTypes.Int32)
	defer numbers.Release()
	numbered, err := r.Images.SetColumn(schema.Images.Column("image_index"), numbers)
	if err != nil {
		return err
	}
	r.Images.Release()
	r.Images = numbered
	return nil
}

// Release releases the records.
func (r *Records) Release() {
	for _, batch := range []*arrow.RecordBatch{&r.Images, &r.Predictions, &r.Tags, &r.Regions} {
		if *batch != nil {
			(*batch).Release()
			*batch = nil
		}
	}
}

// rows collects the rows of one table.
type rows struct {
	table    schema.Table
	schema   *arrow.Schema
	columns  []collector // in the order of the table's columns
	exportID dictionary  // is filled at the end, as it is the same in every row
	id       []byte
}

// collector collects the values of a column.
type collector interface {
	len() int
	reset()
	array(memory.Allocator, arrow.DataType) arrow.Array
}

func newRows(t schema.Table, exportID schema.ID) *rows {
	r := &rows{table: t, schema: t.Record(exportID), columns: make([]collector, len(t.Columns)), id: exportID.Append(nil)}
	add(r, "export_id", &r.exportID)
	return r
}

// add makes c the column of that name, and returns it.
func add[C collector](r *rows, name string, c C) C {
	c.reset()
	r.columns[r.table.Column(name)] = c
	return c
}

// record makes a record of what was collected, and starts afresh.
func (r *rows) record(mem memory.Allocator) arrow.RecordBatch {
	defer r.discard()
	n := r.columns[len(r.columns)-1].len()
	if n > 0 {
		r.exportID.add(r.id)
	}
	r.exportID.values = append(r.exportID.values, make([]int32, n)...)
	arrays := make([]arrow.Array, 0, len(r.columns))
	defer func() {
		for _, a := range arrays {
			a.Release()
		}
	}()
	for i, c := range r.columns {
		arrays = append(arrays, c.array(mem, r.schema.Field(i).Type))
	}
	return array.NewRecordBatch(r.schema, arrays, int64(n))
}

// discard drops what was collected; the columns may differ in length.
func (r *rows) discard() {
	for _, c := range r.columns {
		c.reset()
	}
}

// guard runs f, in which Arrow is called, and makes an error of a panic.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("arrow panicked: %v", p)
		}
	}()
	return f()
}

package load

import (
	"fmt"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// EncodeRecord returns the bytes of the exports object of e.
func EncodeRecord(e Export) ([]byte, error) {
	rec, err := exportRecord(e, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer rec.Release()
	return tablefile.Encode(rec)
}

// exportRecord returns e as a record of one row.
func exportRecord(e Export, mem memory.Allocator) (arrow.RecordBatch, error) {
	b := array.NewRecordBuilder(mem, schema.Exports.Arrow(e.ExportID))
	defer b.Release()
	fields := e.columns()
	for i, c := range schema.Exports.Columns {
		if err := appendValue(b.Field(i), fields[c.Name]); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return b.NewRecordBatch(), nil
}

// appendValue appends what a field of [Export] holds, null when it is nil or a zero time.
func appendValue(b array.Builder, field any) error {
	switch v := field.(type) {
	case *schema.ID:
		b.(*array.StringBuilder).Append(v.String())
	case *string:
		b.(*array.StringBuilder).Append(*v)
	case **string:
		if *v == nil {
			b.AppendNull()
		} else {
			b.(*array.StringBuilder).Append(**v)
		}
	case *float64:
		b.(*array.Float64Builder).Append(*v)
	case **float64:
		if *v == nil {
			b.AppendNull()
		} else {
			b.(*array.Float64Builder).Append(**v)
		}
	case *int32:
		b.(*array.Int32Builder).Append(*v)
	case *int64:
		b.(*array.Int64Builder).Append(*v)
	case *time.Time:
		if v.IsZero() {
			b.AppendNull()
		} else {
			b.(*array.TimestampBuilder).Append(arrow.Timestamp(v.UnixMicro()))
		}
	case *[]string:
		list := b.(*array.ListBuilder)
		list.Append(true)
		for _, s := range *v {
			list.ValueBuilder().(*array.StringBuilder).Append(s)
		}
	case *[]ObjectRecord:
		list := b.(*array.ListBuilder)
		list.Append(true)
		row := list.ValueBuilder().(*array.StructBuilder)
		for _, o := range *v {
			row.Append(true)
			for i, f := range row.Type().(*arrow.StructType).Fields() {
				crc := int64(o.CRC32C)
				if err := appendValue(row.FieldBuilder(i), o.fields(&crc)[f.Name]); err != nil {
					return fmt.Errorf("%s: %w", f.Name, err)
				}
			}
		}
	default:
		return fmt.Errorf("no field holds it (%T)", field)
	}
	return nil
}

// fields maps the parts of the objects column to the fields of o. The checksum
// is a column of 64 bits, because there are no unsigned ones.
func (o *ObjectRecord) fields(crc *int64) map[string]any {
	return map[string]any{"table": &o.Table, "key": &o.Key, "rows": &o.Rows, "bytes": &o.Bytes, "crc32c": crc}
}

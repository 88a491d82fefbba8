package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// ErrDamaged means that an exports record is there and cannot be read.
var ErrDamaged = errors.New("the exports record is damaged")

// EncodeRecord returns the bytes of the exports object of e.
func EncodeRecord(e Export) ([]byte, error) {
	rec, err := exportRecord(e, memory.DefaultAllocator)
	if err != nil {
		return nil, err
	}
	defer rec.Release()
	return tablefile.Encode(rec)
}

// exportRecord returns e as a record of one row. The names of its columns are in the
// tags of e's fields, except for the counts of rows: they are those of 64 bits.
func exportRecord(e Export, mem memory.Allocator) (arrow.RecordBatch, error) {
	e.TagFilter = append([]string{}, e.TagFilter...) // nil would be null
	e.Objects = append([]ObjectRecord{}, e.Objects...)
	for _, at := range []*time.Time{&e.Created, &e.LastModified, &e.TrainedAt, &e.StartedAt, &e.FinishedAt} {
		*at = at.UTC().Truncate(time.Microsecond) // Arrow's JSON takes no more digits
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var row map[string]json.RawMessage
	if err := json.Unmarshal(text, &row); err != nil {
		return nil, err
	}
	for _, c := range schema.Exports.Columns {
		if c.Type == schema.Int64 {
			row[c.Name] = strconv.AppendInt(nil, e.Rows[c.Name], 10)
		}
	}
	if text, err = json.Marshal([]any{row}); err != nil {
		return nil, err
	}
	rec, _, err := array.RecordFromJSON(mem, schema.Exports.Arrow(e.ExportID), bytes.NewReader(text))
	return rec, err
}

// DecodeRecord reads the bytes of an exports object. The error wraps [ErrDamaged].
// Columns that this version does not know are ignored; columns that the record lacks
// are zero.
func DecodeRecord(body []byte) (e Export, err error) {
	err = tablefile.Guard(func() error {
		row, err := readRecord(body)
		if err != nil {
			return err
		}
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		for column, value := range row {
			if n, ok := value.(int64); ok {
				if e.Rows == nil {
					e.Rows = map[string]int64{}
				}
				e.Rows[column] = n
			}
		}
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		if len(e.Objects) > maxObjects {
			return fmt.Errorf("it lists %d objects, more than the limit of %d", len(e.Objects), maxObjects)
		}
		return nil
	})
	if err != nil {
		return Export{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return e, nil
}

// readRecord reads the columns of the one row of an exports object.
func readRecord(body []byte) (map[string]any, error) {
	fr, err := tablefile.Open(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	n, err := fr.Rows()
	if err != nil {
		return nil, err
	}
	if n != 1 {
		return nil, fmt.Errorf("it has %d rows, want 1", n)
	}
	have, err := fr.Schema()
	if err != nil {
		return nil, err
	}
	row := map[string]any{}
	for i, want := range schema.Exports.Arrow(schema.ID{}).Fields() {
		at := have.FieldIndices(want.Name)
		if len(at) == 0 {
			continue
		}
		if got := have.Field(at[0]).Type; !holds(got, want.Type) {
			return nil, fmt.Errorf("column %s: its type is %s", want.Name, got)
		}
		if row[want.Name], err = readColumn(fr, schema.Exports.Columns[i]); err != nil {
			return nil, fmt.Errorf("column %s: %w", want.Name, err)
		}
	}
	return row, nil
}

// holds reports whether a column of type have can be read as want. A struct may
// have other fields as well, or fewer.
func holds(have, want arrow.DataType) bool {
	switch want := want.(type) {
	case *arrow.ListType:
		have, ok := have.(*arrow.ListType)
		return ok && holds(have.Elem(), want.Elem())
	case *arrow.StructType:
		have, ok := have.(*arrow.StructType)
		if !ok {
			return false
		}
		for _, f := range want.Fields() {
			if got, found := have.FieldByName(f.Name); found && !holds(got.Type, f.Type) {
				return false
			}
		}
		return true
	}
	return arrow.TypeEqual(have, want)
}

// readColumn reads the value of a column, nil if it is null or an empty list.
func readColumn(fr *tablefile.Reader, c schema.Column) (any, error) {
	switch c.Type {
	case schema.StructList:
		return readStructs(fr, c)
	case schema.StringList:
		values, err := fr.Values(c.Name + ".list.element")
		if len(values) == 0 {
			return nil, err
		}
		return values, err
	}
	values, err := fr.Values(c.Name)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	if c.Type == schema.Timestamp {
		return time.UnixMicro(values[0].(int64)).UTC(), nil
	}
	return values[0], nil
}

// readStructs puts the elements of a list together from their parts, a Parquet column
// each.
func readStructs(fr *tablefile.Reader, c schema.Column) (elements []map[string]any, err error) {
	for _, part := range c.Fields {
		path := c.Name + ".list.element." + part.Name
		if !fr.Has(path) {
			continue
		}
		values, err := fr.Values(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.Name, err)
		}
		if elements == nil {
			elements = make([]map[string]any, len(values))
		}
		if len(values) != len(elements) {
			return nil, fmt.Errorf("%s: %d values, want %d", part.Name, len(values), len(elements))
		}
		for i, v := range values {
			if elements[i] == nil {
				elements[i] = map[string]any{}
			}
			elements[i][part.Name] = v
		}
	}
	if len(elements) == 0 {
		return nil, nil
	}
	return elements, nil
}

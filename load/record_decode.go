package load

import (
	"bytes"
	"fmt"
	"math"
	"time"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

// decodeExport reads the one row of an exports object.
func decodeExport(body []byte) (Export, error) {
	var e Export
	err := tablefile.Guard(func() error {
		fr, err := tablefile.Open(bytes.NewReader(body), int64(len(body)))
		if err != nil {
			return err
		}
		n, err := fr.Rows()
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("it has %d rows, want 1", n)
		}
		have, err := fr.Schema()
		if err != nil {
			return err
		}
		fields := e.columns()
		for _, want := range schema.Exports.Arrow(schema.ID{}).Fields() {
			at := have.FieldIndices(want.Name)
			if len(at) == 0 {
				continue
			}
			if got := have.Field(at[0]).Type; !holds(got, want.Type) {
				return fmt.Errorf("column %s: its type is %s", want.Name, got)
			}
			if err := readField(fr, want.Name, fields[want.Name]); err != nil {
				return fmt.Errorf("column %s: %w", want.Name, err)
			}
		}
		return nil
	})
	return e, err
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

// readField reads a column of the one row into a field of [Export]. A null
// leaves the field as it is.
func readField(fr *tablefile.Reader, column string, field any) error {
	switch v := field.(type) {
	case *[]string:
		values, err := fr.Values(column + ".list.element")
		for _, s := range values {
			*v = append(*v, s.(string))
		}
		return err
	case *[]ObjectRecord:
		return readObjects(fr, column, v)
	}
	values, err := fr.Values(column)
	if err != nil || len(values) == 0 {
		return err
	}
	return setField(field, values[0])
}

// readObjects puts the objects together from their parts, a Parquet column each.
func readObjects(fr *tablefile.Reader, column string, objects *[]ObjectRecord) error {
	element := schema.Exports.Columns[schema.Exports.Column(column)]
	var crcs []int64
	for _, part := range element.Fields {
		path := column + ".list.element." + part.Name
		if !fr.Has(path) {
			continue
		}
		values, err := fr.Values(path)
		if err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
		if *objects == nil {
			*objects = make([]ObjectRecord, len(values))
			crcs = make([]int64, len(values))
		}
		if len(values) != len(*objects) {
			return fmt.Errorf("%s: %d values, want %d", part.Name, len(values), len(*objects))
		}
		for i, v := range values {
			if err := setField((*objects)[i].fields(&crcs[i])[part.Name], v); err != nil {
				return fmt.Errorf("%s: %w", part.Name, err)
			}
		}
	}
	for i, crc := range crcs {
		if crc < 0 || crc > math.MaxUint32 {
			return fmt.Errorf("crc32c: %d is no 32-bit number", crc)
		}
		(*objects)[i].CRC32C = uint32(crc)
	}
	if len(*objects) == 0 {
		*objects = nil
	}
	return nil
}

// setField sets a field to a value of the type that holds has checked.
func setField(field, value any) (err error) {
	switch v := field.(type) {
	case *schema.ID:
		*v, err = schema.ParseID(value.(string))
	case *string:
		*v = value.(string)
	case **string:
		s := value.(string)
		*v = &s
	case *float64:
		*v = value.(float64)
	case **float64:
		f := value.(float64)
		*v = &f
	case *int32:
		*v = value.(int32)
	case *int64:
		*v = value.(int64)
	case *time.Time:
		*v = time.UnixMicro(value.(int64)).UTC()
	default:
		err = fmt.Errorf("no field holds it (%T)", field)
	}
	return err
}

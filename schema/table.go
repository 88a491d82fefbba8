package schema

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
)

// Version is the version of the tables. It grows when columns are added at the end of
// a table. Columns are never renamed, retyped or removed.
//
//	1  the tables of the first release
//	2  exports has model_kind and figures_missing
const Version = 2

// Sufficient is the oldest version whose exports need not be made again. It grows when
// a column is added that views cannot do without and only the service can fill.
const Sufficient = 1

// Keys of the Parquet key-value metadata of every object.
const (
	MetaSchemaVersion = "cvexport.schema_version"
	MetaExportID      = "cvexport.export_id"
	MetaTable         = "cvexport.table"
)

// Type is the type of a column.
type Type int

const (
	String    Type = iota // UTF-8; also for ids, because BigQuery has no UUID
	Timestamp             // microseconds, UTC; BigQuery rejects nanoseconds
	Double                // 64-bit float
	Int32
	Int64
	StringList // list of String, three-level form
	StructList // list of the column's Fields, three-level form
)

// Column is one column of a table.
type Column struct {
	Name     string
	Type     Type
	Nullable bool
	Repeats  bool     // has few distinct values, and may profit from a dictionary
	Fields   []Column // of a StructList
	Doc      string   // one sentence, shown in docs/reference and as the SQL description
}

// Table is one table of the warehouse.
type Table struct {
	Name    string
	RowPer  string // what a row describes
	Columns []Column
	Key     []string // the columns that are unique within one object
	Since   int32    // the version that added the table; 0 for the first
}

// Path returns the key of an iteration's object, relative to the warehouse's root. All
// keys of tables are built here.
func (t Table) Path(project, iteration ID) string {
	return fmt.Sprintf("%s/project_id=%s/iteration_id=%s/data.parquet", t.Name, project, iteration)
}

// ParsePath is the inverse of [Table.Path]. ok is false for any other key.
func (t Table) ParsePath(key string) (project, iteration ID, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 4 {
		return project, iteration, false
	}
	project, err := ParseID(strings.TrimPrefix(parts[1], "project_id="))
	if err != nil {
		return project, iteration, false
	}
	iteration, err = ParseID(strings.TrimPrefix(parts[2], "iteration_id="))
	return project, iteration, err == nil && t.Path(project, iteration) == key
}

// Arrow returns the table's Arrow schema, with the schema version, the table's name
// and the export's id as metadata.
func (t Table) Arrow(exportID ID) *arrow.Schema {
	metadata := arrow.NewMetadata(
		[]string{MetaSchemaVersion, MetaTable, MetaExportID},
		[]string{strconv.Itoa(Version), t.Name, exportID.String()},
	)
	return arrow.NewSchema(arrowFields(t.Columns), &metadata)
}

// Record is like [Table.Arrow], with a dictionary for each String column that repeats.
// Pages are decoded to such records. Readers of the Parquet files see Arrow's types.
func (t Table) Record(exportID ID) *arrow.Schema {
	plain := t.Arrow(exportID)
	fields := plain.Fields()
	for i, c := range t.Columns {
		if c.Repeats && c.Type == String {
			fields[i].Type = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: fields[i].Type}
		}
	}
	metadata := plain.Metadata()
	return arrow.NewSchema(fields, &metadata)
}

// Column returns the index of the named column. It panics if there is none.
func (t Table) Column(name string) int {
	for i, c := range t.Columns {
		if c.Name == name {
			return i
		}
	}
	panic("schema: table " + t.Name + " has no column " + name)
}

func arrowFields(columns []Column) []arrow.Field {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: c.arrowType(), Nullable: c.Nullable}
	}
	return fields
}

func (c Column) arrowType() arrow.DataType {
	switch c.Type {
	case String:
		return arrow.BinaryTypes.String
	case Timestamp:
		return arrow.FixedWidthTypes.Timestamp_us
	case Double:
		return arrow.PrimitiveTypes.Float64
	case Int32:
		return arrow.PrimitiveTypes.Int32
	case Int64:
		return arrow.PrimitiveTypes.Int64
	case StringList:
		return arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.BinaryTypes.String})
	case StructList:
		return arrow.ListOfField(arrow.Field{Name: "element", Type: arrow.StructOf(arrowFields(c.Fields)...)})
	}
	panic(fmt.Sprintf("schema: column %s has unknown type %d", c.Name, c.Type))
}

// Limits for what the service sends. Its longest known texts have a few hundred bytes,
// and images have at most 200 predictions and 300 regions.
const (
	MaxText  = 64 << 10 // bytes of a name or URI
	MaxItems = 1 << 20  // predictions, tags or regions of one image
)

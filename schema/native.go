package schema

import (
	"fmt"
	"slices"
	"strings"
)

// NativeColumns returns the columns of a table of DuckDB that holds the rows of all
// iterations, as they stand in CREATE TABLE: the columns, and those of the path.
func (t Table) NativeColumns() string {
	var columns []string
	for _, c := range append(slices.Clone(t.Columns), partitionColumns()...) {
		columns = append(columns, c.Name+" "+dialect{Dialect: DuckDB}.typeName(c))
	}
	return strings.Join(columns, ", ")
}

// ReadNative returns the query for the rows of some files, with the columns of
// [Table.NativeColumns]. files is a list in SQL. Columns are found by their names, and
// are null in files of an older version, whose footers DuckDB need not compare for that
// as it must for union_by_name. It needs DuckDB 1.5.
func (t Table) ReadNative(files string) string {
	d := dialect{Dialect: DuckDB}
	var columns []string
	for _, c := range t.Columns {
		columns = append(columns, fmt.Sprintf("%s: {name: %[1]s, type: %s, default_value: NULL}", d.quote(c.Name), d.quote(d.typeName(c))))
	}
	part := func(name string) string {
		return fmt.Sprintf(`regexp_extract(filename, '%[1]s=([^/\\]*)', 1) AS %[1]s`, name)
	}
	return fmt.Sprintf("SELECT * EXCLUDE (filename), %s, %s FROM read_parquet(%s, filename = true, schema = MAP {%s})",
		part("project_id"), part("iteration_id"), files, strings.Join(columns, ", "))
}

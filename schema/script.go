package schema

import (
	"fmt"
	"slices"
	"strings"
)

// Script defines a warehouse's tables, views and functions in a database.
type Script struct {
	Dialect Dialect

	// Warehouse is the root as the database addresses it: a folder, gs://, s3:// or
	// az://, without a trailing slash. Wildcards in it are quoted.
	Warehouse string

	// Access are the statements that let DuckDB read the warehouse. BigQuery ignores
	// them.
	Access []string

	// Dataset is BigQuery's, as dataset or project.dataset.
	Dataset string

	// Location is where BigQuery creates the dataset if there is none, such as EU. It
	// must be that of the bucket. Empty means BigQuery's default.
	Location string

	// Native loads the rows into tables of the database. Otherwise they are read where
	// they are, by views of DuckDB or external tables of BigQuery.
	Native bool

	// Project and Iterations are ids of the only ones that the tables of DuckDB then have;
	// empty for all. BigQuery ignores them.
	Project    string
	Iterations []string

	// Empty names tables without objects, for which DuckDB's globs would fail. BigQuery
	// ignores it.
	Empty []string

	// Rows are queries for the rows of tables that DuckDB does not read from files, with
	// all of their columns. BigQuery ignores it.
	Rows map[string]string

	// Bare omits the descriptions of tables, views and columns, which take DuckDB as long
	// as the rest. BigQuery ignores it.
	Bare bool

	// Without names functions to omit, because DuckDB takes longer to define than to
	// call them. No other function may use them. BigQuery ignores it.
	Without []string
}

// Statements returns the script's statements in order, without semicolons. Running
// them again replaces the definitions. They never change the warehouse.
func (s Script) Statements() []string {
	d := dialect{s.Dialect, s.Dataset}
	if s.Dialect == BigQuery {
		return s.bigQuery(d)
	}
	return s.duckDB(d)
}

// String returns the script as text.
func (s Script) String() string { return strings.Join(s.Statements(), ";\n\n") + ";\n" }

func (s Script) duckDB(d dialect) (statements []string) {
	statements = slices.Clone(s.Access)
	add := func(format string, args ...any) { statements = append(statements, fmt.Sprintf(format, args...)) }
	describe := func(kind, name, doc string, columns []Column) {
		if s.Bare {
			return
		}
		add("COMMENT ON %s %s IS %s", kind, name, d.quote(doc))
		for _, c := range columns {
			add("COMMENT ON COLUMN %s.%s IS %s", name, c.Name, d.quote(c.Doc))
		}
	}
	if s.Native {
		for _, t := range Tables() {
			add("CREATE OR REPLACE TABLE %s AS %s\nORDER BY project_id, iteration_id", t.Name, s.duckDBRows(d, t))
			describe("TABLE", t.Name, "one row per "+t.RowPer, append(partitionColumns(), t.Columns...))
		}
	} else {
		// The views below name the tables three dozen times, and each time DuckDB would list
		// the files and open them. So the tables have none until the views are there.
		for _, t := range Tables() {
			add("CREATE OR REPLACE VIEW %s AS %s", t.Name, noRows(d, t))
		}
	}
	for _, v := range Views() {
		if slices.Contains(s.Without, v.Name) {
			continue
		}
		if len(v.Arguments) == 0 {
			add("CREATE OR REPLACE VIEW %s AS\n%s", v.Name, v.query(d))
			describe("VIEW", v.Name, v.Doc, v.Columns)
			continue
		}
		helpers, query := v.helpers(v.execute(d.functions()))
		statements = append(statements, helpers...)
		statements = append(statements, v.duckDBMacro(v.refusing(d, query)))
		describe("MACRO TABLE", v.Name, v.Doc, nil)
	}
	if !s.Native {
		for _, t := range Tables() {
			add("CREATE OR REPLACE VIEW %s AS %s", t.Name, s.duckDBRows(d, t))
			describe("VIEW", t.Name, "one row per "+t.RowPer, append(partitionColumns(), t.Columns...))
		}
	}
	return statements
}

// noRows returns a query for no rows of all columns of a table.
func noRows(d dialect, t Table) string {
	var columns []string
	for _, c := range append(slices.Clone(t.Columns), partitionColumns()...) {
		columns = append(columns, fmt.Sprintf("NULL::%s AS %s", d.typeName(c), c.Name))
	}
	return "SELECT " + strings.Join(columns, ", ") + " WHERE false"
}

// Macros returns the statements that define the evaluation functions in DuckDB, each
// after those that it uses. The views, or tables of the same names, must exist; their
// ids may have other types, which the functions keep. So they refuse no argument, as
// that gives a function's columns the types of its description.
func Macros() (statements []string) {
	for _, v := range Views() {
		if len(v.Arguments) > 0 {
			statements = append(statements, v.duckDBMacro(v.execute(dialect{Dialect: DuckDB}.functions())))
		}
	}
	return statements
}

func (v View) duckDBMacro(query string) string {
	var arguments []string
	for _, a := range v.Arguments {
		if a.Default != "" {
			a.Name += " := " + a.Default
		}
		arguments = append(arguments, a.Name)
	}
	return fmt.Sprintf("CREATE OR REPLACE MACRO %s(%s) AS TABLE\n%s", v.Name, strings.Join(arguments, ", "), query)
}

// duckDBRows returns the query for a table's rows. It is a union with no rows of all
// columns, so that a column exists even if every file is older than it.
func (s Script) duckDBRows(d dialect, t Table) string {
	if rows, ok := s.Rows[t.Name]; ok {
		return rows
	}
	none := noRows(d, t)
	if slices.Contains(s.Empty, t.Name) {
		return none
	}
	return fmt.Sprintf("%s\nUNION ALL BY NAME\nSELECT * FROM read_parquet(%s, hive_partitioning = true, union_by_name = true, hive_types = {'project_id': VARCHAR, 'iteration_id': VARCHAR})", none, s.globs(d, t))
}

// globs returns the pattern, or the list of patterns, for the files of a table.
func (s Script) globs(d dialect, t Table) string {
	root := GlobEscape(s.Warehouse) + "/" + t.Name
	if s.Project == "" && len(s.Iterations) == 0 {
		return d.quote(root + "/**/*.parquet")
	}
	project, iterations := "*", s.Iterations
	if s.Project != "" {
		project = "project_id=" + s.Project
	}
	if len(iterations) == 0 {
		return d.quote(root + "/" + project + "/*/*.parquet")
	}
	var patterns []string
	for _, i := range iterations {
		patterns = append(patterns, d.quote(root+"/"+project+"/iteration_id="+i+"/*.parquet"))
	}
	return "[" + strings.Join(patterns, ", ") + "]"
}

// GlobEscape keeps DuckDB from taking a folder's own name for a pattern.
func GlobEscape(s string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(s)
}

func (s Script) bigQuery(d dialect) (statements []string) {
	add := func(format string, args ...any) { statements = append(statements, fmt.Sprintf(format, args...)) }
	location := ""
	if s.Location != "" {
		location = " OPTIONS (location = " + d.quote(s.Location) + ")"
	}
	add("CREATE SCHEMA IF NOT EXISTS %s%s", d.quoteName(s.Dataset), location)
	for _, t := range Tables() {
		statements = append(statements, s.bigQueryTable(d, t)...)
	}
	for _, v := range Views() {
		if len(v.Arguments) == 0 {
			add("CREATE OR REPLACE VIEW %s (\n%s\n)\nOPTIONS (description = %s) AS\n%s", d.ref(v.Name), bigQueryColumns(d, v.Columns, false), d.quote(v.Doc), v.query(d))
			continue
		}
		var arguments []string
		for _, a := range v.Arguments {
			arguments = append(arguments, a.Name+" "+d.typeName(Column{Type: a.Type}))
		}
		add("CREATE OR REPLACE TABLE FUNCTION %s(%s)\nOPTIONS (description = %s) AS\n%s", d.ref(v.Name), strings.Join(arguments, ", "), d.quote(v.Doc), v.query(d))
	}
	return statements
}

// bigQueryTable defines an external table, or loads a native one. Both declare the
// partition columns, which are only in the objects' paths, and read lists in Parquet's
// three-level form.
func (s Script) bigQueryTable(d dialect, t Table) []string {
	const partitions = "WITH PARTITION COLUMNS (project_id STRING, iteration_id STRING)"
	prefix := s.Warehouse + "/" + t.Name
	source := fmt.Sprintf("format = 'PARQUET',\n  uris = [%s],\n  hive_partition_uri_prefix = %s,\n  enable_list_inference = true",
		d.quote(prefix+"/*"), d.quote(prefix))
	doc := d.quote("one row per " + t.RowPer)
	if !s.Native {
		return []string{fmt.Sprintf("CREATE OR REPLACE EXTERNAL TABLE %s (\n%s\n)\n%s\nOPTIONS (\n  description = %s,\n  %s,\n  require_hive_partition_filter = false\n)",
			d.ref(t.Name), bigQueryColumns(d, t.Columns, true), partitions, doc, source)}
	}
	return []string{fmt.Sprintf("LOAD DATA OVERWRITE %s (\n%s\n)\nCLUSTER BY %s\nOPTIONS (description = %s)\nFROM FILES (\n  %s\n)\n%s",
		d.ref(t.Name), bigQueryColumns(d, t.Columns, true), strings.Join(clustering(t), ", "), doc, source, partitions)}
}

// clustering returns the columns that queries filter by, at most BigQuery's four.
func clustering(t Table) []string {
	columns := []string{"project_id", "iteration_id"}
	for _, name := range []string{"tag_id", "image_id"} {
		if slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Name == name }) {
			columns = append(columns, name)
		}
	}
	return columns
}

// bigQueryColumns lists columns with their descriptions, one per line.
func bigQueryColumns(d dialect, columns []Column, types bool) string {
	var lines []string
	for _, c := range columns {
		line := "  " + d.quoteName(c.Name)
		if types {
			line += " " + d.typeName(c)
		}
		lines = append(lines, line+" OPTIONS (description = "+d.quote(c.Doc)+")")
	}
	return strings.Join(lines, ",\n")
}

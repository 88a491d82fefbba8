package sql

import (
	"errors"
	"fmt"
	"strings"

	gs "github.com/goccy/go-googlesql"
)

// Methods that several kinds of statement have.
type (
	named interface {
		NamePath() ([]string, error)
	}
	defining interface {
		ColumnDefinitionList() ([]*gs.ResolvedColumnDefinition, error)
	}
	returning interface {
		OutputColumnList() ([]*gs.ResolvedOutputColumn, error)
	}
	partitioning interface {
		WithPartitionColumns() (*gs.ResolvedWithPartitionColumns, error)
	}
	altering interface {
		AlterActionList() ([]gs.ResolvedAlterActionNode, error)
		IsIfExists() (bool, error)
	}
	creating interface {
		CreateMode() (gs.ResolvedCreateStatementEnums_CreateMode, error)
	}
	signed interface {
		ArgumentNameList() ([]string, error)
		Signature() (*gs.FunctionSignature, error)
	}
)

// typedColumn is a column with the analyzer's own type.
type typedColumn struct {
	name string
	typ  gs.Googlesql_TypeNode
}

// apply fills in the name, columns, arguments and query of an analysed statement, and
// changes the catalog as BigQuery would change its own.
func (c *catalog) apply(s *Statement, node gs.ResolvedStatementNode) error {
	var path []string
	if n, ok := node.(named); ok {
		var err error
		if path, err = n.NamePath(); err != nil {
			return err
		}
		s.Name = dotted(path)
	}
	columns, err := columnsOf(node)
	if err != nil {
		return err
	}
	if s.Columns, err = plain(columns); err != nil {
		return err
	}
	if err := distinct(s.Columns); err != nil {
		return err
	}
	if f, ok := node.(signed); ok {
		if s.Arguments, err = argumentsOf(f); err != nil {
			return err
		}
	}
	if a, ok := node.(altering); ok {
		return c.alter(s, a, node)
	}
	if s.Kind == "SELECT" {
		s.Query = s.SQL
		return nil
	}
	o := &object{columns: s.Columns}
	o.kind = strings.TrimSuffix(strings.TrimPrefix(s.Kind, "CREATE "), " AS SELECT")
	if s.Kind == "LOAD DATA" {
		o.kind = "TABLE"
	}
	if err := checkOptions(o.kind, node); err != nil {
		return err
	}
	switch node := node.(type) {
	case *gs.ResolvedCreateSchemaStmt:
	case *gs.ResolvedCreateFunctionStmt:
		if s.Query, err = node.Code(); err != nil {
			return err
		}
		o.function, err = function(path, node)
	case *gs.ResolvedCreateTableFunctionStmt:
		if s.Query, err = node.Code(); err != nil {
			return err
		}
		o.rows, err = tableFunction(path, node, columns)
	default:
		if view, ok := node.(interface{ Sql() (string, error) }); ok {
			if s.Query, err = view.Sql(); err != nil {
				return err
			}
		}
		o.table, err = table(s.Name, columns)
	}
	if err != nil {
		return err
	}
	if load, ok := node.(*gs.ResolvedAuxLoadDataStmt); ok {
		return c.load(s, load, o)
	}
	mode, err := node.(creating).CreateMode()
	if err != nil {
		return err
	}
	return c.add(s.Name, mode, o)
}

// load creates the table that LOAD DATA names, if it does not exist or is overwritten. A
// statement without columns leaves the columns of an existing table alone.
func (c *catalog) load(s *Statement, node *gs.ResolvedAuxLoadDataStmt, o *object) error {
	mode := gs.ResolvedCreateStatementEnums_CreateModeCreateIfNotExists
	size, err := node.ColumnDefinitionListSize()
	if err != nil {
		return err
	}
	if size == 0 && c.tables[s.Name] == nil {
		return errors.New("the table does not exist and the statement has no columns: list them")
	}
	insertion, err := node.InsertionMode()
	if err != nil {
		return err
	}
	if size > 0 && insertion == gs.ResolvedAuxLoadDataStmtEnums_InsertionModeOverwrite {
		mode = gs.ResolvedCreateStatementEnums_CreateModeCreateOrReplace
	}
	return c.add(s.Name, mode, o)
}

// alter checks that what an ALTER statement names exists. Only changes of options are
// implemented.
func (c *catalog) alter(s *Statement, altered altering, node gs.ResolvedNode) error {
	ifExists, err := altered.IsIfExists()
	if err != nil {
		return err
	}
	o, err := c.find(strings.TrimPrefix(s.Kind, "ALTER "), s.Name)
	if err != nil {
		if ifExists {
			return nil
		}
		return err
	}
	actions, err := altered.AlterActionList()
	if err != nil {
		return err
	}
	for _, action := range actions {
		switch action := action.(type) {
		case *gs.ResolvedSetOptionsAction:
		case *gs.ResolvedAlterColumnOptionsAction:
			name, err := action.Column()
			if err != nil {
				return err
			}
			if !has(o.columns, name) {
				return fmt.Errorf("%s has no column %s", s.Name, name)
			}
		default:
			return errors.New("only SET OPTIONS and ALTER COLUMN ... SET OPTIONS are supported in ALTER")
		}
	}
	return checkOptions(o.kind, node)
}

func has(columns []Column, name string) bool {
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	return false
}

// distinct refuses two columns of one name, as BigQuery does. The analyzer accepts them in
// a query, and where a partition column is also a column of the files.
func distinct(columns []Column) error {
	seen := map[string]bool{}
	for _, c := range columns {
		name := strings.ToLower(c.Name)
		if seen[name] {
			return fmt.Errorf("there are two columns %s", c.Name)
		}
		seen[name] = true
	}
	return nil
}

// columnsOf returns the columns of what a statement creates or returns.
func columnsOf(node gs.ResolvedStatementNode) ([]typedColumn, error) {
	if load, ok := node.(*gs.ResolvedAuxLoadDataStmt); ok {
		return returned(load) // of the files and partitions, or of an existing table
	}
	var columns []typedColumn
	if d, ok := node.(defining); ok {
		var err error
		if columns, err = defined(d); err != nil {
			return nil, err
		}
	}
	if r, ok := node.(returning); ok && len(columns) == 0 {
		return returned(r)
	}
	p, ok := node.(partitioning)
	if !ok {
		return columns, nil
	}
	partitions, err := p.WithPartitionColumns()
	if err != nil || partitions == nil {
		return columns, err
	}
	more, err := defined(partitions)
	return append(columns, more...), err
}

func returned(node returning) ([]typedColumn, error) {
	outputs, err := node.OutputColumnList()
	if err != nil {
		return nil, err
	}
	var columns []typedColumn
	for i, output := range outputs {
		name, err := output.Name()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(name, "$") { // an unnamed column, which BigQuery names like this
			name = fmt.Sprintf("f%d_", i)
		}
		column, err := output.Column()
		if err != nil {
			return nil, err
		}
		typ, err := column.Type()
		if err != nil {
			return nil, err
		}
		columns = append(columns, typedColumn{name, typ})
	}
	return columns, nil
}

func defined(node defining) ([]typedColumn, error) {
	definitions, err := node.ColumnDefinitionList()
	if err != nil {
		return nil, err
	}
	var columns []typedColumn
	for _, definition := range definitions {
		name, err := definition.Name()
		if err != nil {
			return nil, err
		}
		typ, err := definition.Type()
		if err != nil {
			return nil, err
		}
		columns = append(columns, typedColumn{name, typ})
	}
	return columns, nil
}

func plain(columns []typedColumn) ([]Column, error) {
	var out []Column
	for _, c := range columns {
		typ, err := typeName(c.typ)
		if err != nil {
			return nil, err
		}
		out = append(out, Column{c.name, typ})
	}
	return out, nil
}

func typeName(typ gs.Googlesql_TypeNode) (string, error) {
	t, ok := typ.(interface {
		TypeName(gs.ProductMode) (string, error)
	})
	if !ok {
		return "", fmt.Errorf("a %T has no name", typ)
	}
	return t.TypeName(gs.ProductModeProductExternal)
}

func argumentsOf(node signed) ([]Column, error) {
	names, err := node.ArgumentNameList()
	if err != nil {
		return nil, err
	}
	signature, err := node.Signature()
	if err != nil {
		return nil, err
	}
	var arguments []Column
	for i, name := range names {
		argument, err := signature.Argument(int32(i))
		if err != nil {
			return nil, err
		}
		typ, err := argument.UserFacingName(gs.ProductModeProductExternal, true)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, Column{name, typ})
	}
	return arguments, nil
}

func table(name string, columns []typedColumn) (*gs.SimpleTable, error) {
	t, err := gs.NewSimpleTable(name, 0)
	if err != nil {
		return nil, err
	}
	for _, c := range columns {
		column, err := gs.NewSimpleColumn(name, c.name, c.typ, false, true)
		if err != nil {
			return nil, err
		}
		if err := t.AddColumn2(column, false); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func function(path []string, node *gs.ResolvedCreateFunctionStmt) (*gs.Function, error) {
	signature, err := node.Signature()
	if err != nil {
		return nil, err
	}
	mode := gs.FunctionEnums_ModeScalar
	aggregate, err := node.IsAggregate()
	if err != nil {
		return nil, err
	}
	if aggregate {
		mode = gs.FunctionEnums_ModeAggregate
	}
	return gs.NewFunction2(path, "script", mode, []*gs.FunctionSignature{signature})
}

func tableFunction(path []string, node *gs.ResolvedCreateTableFunctionStmt, columns []typedColumn) (*gs.FixedOutputSchemaTVF, error) {
	var schema []*gs.TVFSchemaColumn
	for _, c := range columns {
		schema = append(schema, &gs.TVFSchemaColumn{Name: c.name, Type_: c.typ})
	}
	relation, err := gs.NewTVFRelation(schema)
	if err != nil {
		return nil, err
	}
	signature, err := node.Signature()
	if err != nil {
		return nil, err
	}
	return gs.NewFixedOutputSchemaTVF3(path, []*gs.FunctionSignature{signature}, relation, &gs.TableValuedFunctionOptions{})
}

package sql

import (
	"fmt"
	"slices"
	"strings"

	gs "github.com/goccy/go-googlesql"
)

// catalog holds what the statements of a script have created, by dotted path. A dataset, a
// table and a function may have the same name; tables, views and external tables share one
// namespace, and all functions another.
type catalog struct {
	datasets  map[string]*object
	tables    map[string]*object
	functions map[string]*object
}

// object is something that a statement has created.
type object struct {
	kind    string // what stands after CREATE, such as EXTERNAL TABLE
	columns []Column

	// One of these is set; none for a dataset.
	table      *gs.SimpleTable
	function   *gs.Function
	rows       *gs.FixedOutputSchemaTVF // a table function
	connection *gs.SimpleConnection
}

func newCatalog() *catalog {
	return &catalog{datasets: map[string]*object{}, tables: map[string]*object{}, functions: map[string]*object{}}
}

// analyzers builds the analyzer's kind of catalog, with GoogleSQL's own functions and what
// is needed besides. It is built for each statement, as nothing can be removed from one.
func (c *catalog) analyzers(language *gs.LanguageOptions, types *gs.TypeFactory, needed map[string]*object) (*gs.SimpleCatalog, error) {
	top, err := gs.NewSimpleCatalog("script", types)
	if err != nil {
		return nil, err
	}
	if err := top.AddBuiltinFunctionsAndTypes(&gs.BuiltinFunctionOptions{LanguageOptions: language}); err != nil {
		return nil, err
	}
	inner := map[string]*gs.SimpleCatalog{"": top}
	// within returns the catalog at a path, which for the empty path is the top.
	var within func(path []string) (*gs.SimpleCatalog, error)
	within = func(path []string) (*gs.SimpleCatalog, error) {
		name := strings.ToLower(strings.Join(path, "\x00"))
		if found := inner[name]; found != nil {
			return found, nil
		}
		last := len(path) - 1
		outer, err := within(path[:last])
		if err != nil {
			return nil, err
		}
		added, err := gs.NewSimpleCatalog(path[last], types)
		if err != nil {
			return nil, err
		}
		inner[name] = added
		return added, outer.AddCatalog2(path[last], added)
	}
	for _, objects := range []map[string]*object{c.tables, c.functions, needed} {
		for name, o := range objects {
			for _, path := range spellings(name) {
				last := len(path) - 1
				into, err := within(path[:last])
				if err != nil {
					return nil, err
				}
				switch {
				case o.table != nil:
					err = into.AddTable2(path[last], o.table)
				case o.function != nil:
					err = into.AddFunction2(path[last], o.function)
				case o.connection != nil:
					err = into.AddConnection2(path[last], o.connection)
				case o.rows != nil:
					err = into.AddTableValuedFunction2(path[last], o.rows.TableValuedFunction)
				}
				if err != nil {
					return nil, err
				}
			}
		}
	}
	return top, nil
}

// spellings returns the paths that a dotted name may be written as: d.t is also `d.t`.
func spellings(name string) [][]string {
	parts := strings.Split(name, ".")
	paths := [][]string{{parts[0]}}
	for _, part := range parts[1:] {
		for _, path := range slices.Clone(paths) {
			last := len(path) - 1
			paths = append(paths, append(slices.Clone(path[:last]), path[last]+"."+part))
		}
		for i := range len(paths) / 2 {
			paths[i] = append(paths[i], part)
		}
	}
	return paths
}

// dotted joins a path as BigQuery reads it: `p.d.t`, `p`.`d`.`t` and p.d.t are the same.
func dotted(path []string) string { return strings.Join(path, ".") }

// add adds an object as CREATE, CREATE OR REPLACE or CREATE IF NOT EXISTS does.
func (c *catalog) add(name string, mode gs.ResolvedCreateStatementEnums_CreateMode, o *object) error {
	objects := c.tables
	switch {
	case o.kind == "SCHEMA":
		objects = c.datasets
	case strings.HasSuffix(o.kind, "FUNCTION"):
		objects = c.functions
	}
	if o.kind != "SCHEMA" {
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return fmt.Errorf("%s has no dataset: it needs a name like dataset.%s", name, name)
		}
		if c.datasets[name[:dot]] == nil {
			return fmt.Errorf("no earlier statement creates the dataset %s", name[:dot])
		}
	}
	if other := otherCase(objects, name); other != "" { // the analyzer's catalog ignores case
		return fmt.Errorf("%s and %s differ only in case", name, other)
	}
	old := objects[name]
	switch {
	case old == nil:
	case old.kind != o.kind:
		return fmt.Errorf("%s exists and is a %s", name, old.kind)
	case mode == gs.ResolvedCreateStatementEnums_CreateModeCreateIfNotExists:
		return nil
	case mode != gs.ResolvedCreateStatementEnums_CreateModeCreateOrReplace:
		return fmt.Errorf("%s exists already", name)
	}
	objects[name] = o
	return nil
}

// find returns the object that ALTER names.
func (c *catalog) find(kind, name string) (*object, error) {
	objects := c.tables
	if kind == "SCHEMA" {
		objects = c.datasets
	}
	o := objects[name]
	if o == nil {
		return nil, fmt.Errorf("no earlier statement creates %s", name)
	}
	// ALTER TABLE also works on external tables.
	if o.kind != kind && !(kind == "TABLE" && o.kind == "EXTERNAL TABLE") {
		return nil, fmt.Errorf("%s is a %s", name, o.kind)
	}
	return o, nil
}

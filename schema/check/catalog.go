package check

import (
	"fmt"
	"slices"
	"strings"

	gs "github.com/goccy/go-googlesql"
)

// catalog is what the statements of a script have created, by the dotted path. A
// dataset, a table and a function may have one name; all tables, views and external
// tables share their names, and so do all functions.
type catalog struct {
	datasets  map[string]*object
	tables    map[string]*object
	functions map[string]*object
}

// object is what one statement has created.
type object struct {
	kind    string // what stands after CREATE, such as EXTERNAL TABLE
	columns []Column

	// One of them, or none for a dataset.
	table      *gs.SimpleTable
	function   *gs.Function
	rows       *gs.FixedOutputSchemaTVF // a table function
	connection *gs.SimpleConnection
}

func newCatalog() *catalog {
	return &catalog{datasets: map[string]*object{}, tables: map[string]*object{}, functions: map[string]*object{}}
}

// analyzers is the catalog as the analyzer takes it, with GoogleSQL's own functions and
// what is needed besides. From the analyzer's, nothing can be taken out and made anew.
func (c *catalog) analyzers(language *gs.LanguageOptions, types *gs.TypeFactory, needed map[string]*object) (*gs.SimpleCatalog, error) {
	top, err := gs.NewSimpleCatalog("script", types)
	if err != nil {
		return nil, err
	}
	if err := top.AddBuiltinFunctionsAndTypes(&gs.BuiltinFunctionOptions{LanguageOptions: language}); err != nil {
		return nil, err
	}
	inner := map[string]*gs.SimpleCatalog{"": top}
	// within is the catalog of a path, which may be the top itself.
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

// spellings are the paths that a dotted name may be written as: d.t is also `d.t`.
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

// dotted is a path as BigQuery reads it: quoted as a whole, `p.d.t`, it is the same as
// quoted in parts or not at all.
func dotted(path []string) string { return strings.Join(path, ".") }

// add adds an object, in the sense of CREATE, CREATE OR REPLACE or CREATE IF NOT EXISTS.
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
			return fmt.Errorf("no statement before has created the dataset %s", name[:dot])
		}
	}
	if other := otherCase(objects, name); other != "" { // the analyzer's catalog takes only one
		return fmt.Errorf("%s and %s differ by case alone", name, other)
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

// find finds what ALTER names.
func (c *catalog) find(kind, name string) (*object, error) {
	objects := c.tables
	if kind == "SCHEMA" {
		objects = c.datasets
	}
	o := objects[name]
	if o == nil {
		return nil, fmt.Errorf("no statement before has created %s", name)
	}
	// What is said of a table is said of an external one too.
	if o.kind != kind && !(kind == "TABLE" && o.kind == "EXTERNAL TABLE") {
		return nil, fmt.Errorf("%s is a %s", name, o.kind)
	}
	return o, nil
}

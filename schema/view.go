package schema

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/template"
)

// View is a view or, if it has arguments, a function that returns a table. It is the
// same in every [Dialect].
type View struct {
	Name      string
	Doc       string // one sentence
	Arguments []Argument
	Columns   []Column // with Name, Type and Doc only
	Reads     []string // the tables, views and functions that its query uses, each once

	table *Table // of a view over one table
	body  *template.Template
}

// Argument is an argument of a function. BigQuery has no defaults, and needs all.
type Argument struct {
	Name    string
	Type    Type   // String or Double
	Default string // in SQL, empty if there is none
	Doc     string
}

// Signature returns the name with its arguments, such as
// outcomes(probability_threshold, overlap_threshold).
func (v View) Signature() string {
	var names []string
	for _, a := range v.Arguments {
		names = append(names, a.Name)
	}
	if names == nil {
		return v.Name
	}
	return v.Name + "(" + strings.Join(names, ", ") + ")"
}

// Views returns all views and functions, each after those that it reads.
func Views() []View { return views() }

var (
	//go:embed views/*.sql
	viewFiles embed.FS

	// Loaded on demand: an export needs none of them.
	views = sync.OnceValue(loadViews)
)

func loadViews() []View {
	var all []View
	for _, t := range DataTables() {
		if t.Key[0] != imageID.Name {
			continue
		}
		v := readView("current")
		v.Name, v.table = "current_"+t.Name, &t
		v.Doc = fmt.Sprintf("one row per %s of every iteration that has a committed export", t.RowPer)
		v.Columns = append(partitionColumns(), t.Columns...)
		v.Reads = v.reads()
		all = append(all, v)
	}
	for _, name := range []string{
		"export_health", "model_kinds", "current_labels", "outcomes", "mistakes", "confusion", "tag_metrics",
		"precision_recall_curve", "average_precision", "best_threshold", "iteration_changes", "comparison", "hardest_images", "label_suspects",
	} {
		v := readView(name)
		if v.Name != name {
			panic("schema: views/" + name + ".sql describes " + v.Name)
		}
		v.Reads = v.reads()
		all = append(all, v)
	}
	return all
}

// Behind returns a function that reports whether a table, view or function is one of
// those names, or is read by them directly or indirectly.
func Behind(names ...string) func(name string) bool {
	wanted := map[string]bool{}
	for _, name := range names {
		wanted[name] = true
	}
	for _, v := range slices.Backward(views()) { // each comes after those that it reads
		if wanted[v.Name] {
			for _, name := range v.Reads {
				wanted[name] = true
			}
		}
	}
	return func(name string) bool { return wanted[name] }
}

// partitionColumns returns the columns that are only in an object's path.
func partitionColumns() []Column {
	return []Column{
		{Name: "project_id", Type: String, Doc: "the project"},
		{Name: "iteration_id", Type: String, Doc: "the iteration"},
	}
}

// readView parses views/NAME.sql: a header of comments with its description, arguments
// and columns, and the query as a template. It panics if the file is invalid.
//
//	-- NAME: DOC
//	-- argument NAME TYPE [DEFAULT]: DOC
//	-- column NAME TYPE: DOC
//
//	SELECT ...
func readView(name string) (v View) {
	file := "views/" + name + ".sql"
	text, err := viewFiles.ReadFile(file)
	if err != nil {
		panic("schema: " + err.Error())
	}
	head, query, _ := strings.Cut(string(text), "\n\n")
	for line := range strings.Lines(head) {
		comment, _ := strings.CutPrefix(strings.TrimSpace(line), "-- ")
		about, doc, ok := strings.Cut(comment, ": ")
		words := strings.Fields(about)
		switch {
		case ok && v.Name == "" && len(words) == 1:
			v.Name, v.Doc = about, doc
		case ok && (len(words) == 3 || len(words) == 4) && words[0] == "argument":
			v.Arguments = append(v.Arguments, Argument{Name: words[1], Type: typeNamed(words[2]), Default: strings.Join(words[3:], ""), Doc: doc})
		case ok && len(words) == 3 && words[0] == "column":
			v.Columns = append(v.Columns, Column{Name: words[1], Type: typeNamed(words[2]), Doc: doc})
		default:
			panic("schema: " + file + ": cannot read " + line)
		}
	}
	v.body = template.Must(template.New(file).Funcs(dialect{}.functions()).Parse(query))
	return v
}

// typeNames has the types' names in view files and docs/reference.
var typeNames = map[Type]string{String: "string", Timestamp: "timestamp", Double: "double", Int32: "int32", Int64: "int64", StringList: "list of string"}

func typeNamed(name string) Type {
	for t, n := range typeNames {
		if n == name {
			return t
		}
	}
	panic("schema: unknown type " + name)
}

// query returns the view's query in a dialect.
func (v View) query(d dialect) string {
	query := v.execute(d.functions())
	if len(v.Arguments) == 0 {
		return query
	}
	return v.refusing(d, query)
}

// refusing returns a function's query that fails if an argument makes no sense.
func (v View) refusing(d dialect, query string) string {
	return v.refusal(d) + "\nUNION ALL\nSELECT * FROM (\n" + query + "\n) AS answer"
}

// refusal returns a query without rows that fails if an argument makes no sense. It is
// a query of its own, because a condition beside the answer's would not be looked at
// where the answer is known to be empty; and nothing is known of its columns, so that
// no condition on them is known to be false. DuckDB drops it where the arguments are
// constants that make sense.
func (v View) refusal(d dialect) string {
	var columns, cases []string
	for _, c := range v.Columns {
		columns = append(columns, fmt.Sprintf("CAST(%s AS %s) AS %s", d.unknown("refused", c.Name), d.typeName(c), c.Name))
	}
	fail := func(sense string, message ...string) {
		cases = append(cases, fmt.Sprintf("WHEN (%s) IS NOT TRUE THEN ERROR(%s)", sense, strings.Join(message, " || ")))
	}
	given := func(name string) string {
		return fmt.Sprintf("COALESCE(CAST(%s AS %s), 'NULL')", name, d.typeName(Column{Type: String}))
	}
	for _, a := range v.Arguments {
		switch {
		case a.Type == Double:
			fail(a.Name+" BETWEEN 0 AND 1", d.quote(a.Name+" must be a number from 0 to 1, not "), given(a.Name))
		case a.Name != projectArgument: // to look for the project alone would read the records of all its iterations
			fail("EXISTS (SELECT 1 FROM "+d.ref(Exports.Name)+" WHERE project_id = "+projectArgument+" AND iteration_id = "+a.Name+")",
				d.quote(a.Name+": the warehouse has no export of iteration "), given(a.Name), d.quote(" of project "), given(projectArgument))
		}
	}
	return fmt.Sprintf("SELECT %s\nFROM (SELECT CASE %s ELSE '' END AS refused) AS arguments\nWHERE refused <> ''", strings.Join(columns, ", "), strings.Join(cases, "\n  "))
}

// projectArgument is an argument of a function that compares iterations of a project;
// its other arguments of type String are ids of iterations.
const projectArgument = "project"

// reads returns the names that the query's template refers to.
func (v View) reads() (names []string) {
	functions := dialect{Dialect: DuckDB}.functions()
	functions["ref"] = func(name string) string {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		return name
	}
	v.execute(functions)
	return names
}

func (v View) execute(functions template.FuncMap) string {
	var b strings.Builder
	body := template.Must(v.body.Clone()).Funcs(functions)
	if err := body.Execute(&b, struct {
		Table  *Table
		Tables []Table
	}{v.table, DataTables()}); err != nil {
		panic("schema: " + err.Error())
	}
	return strings.TrimSpace(b.String())
}

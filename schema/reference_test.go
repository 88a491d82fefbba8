package schema

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the tables and views of docs/reference anew")

// The tables and views of docs/reference are the schema's.
func TestReference(t *testing.T) {
	checkReference(t, "tables", referenceTables())
	checkReference(t, "views", referenceViews())
}

func checkReference(t *testing.T, part, want string) {
	t.Helper()
	path := "../docs/reference/" + part + ".md"
	from, to := "<!-- "+part+": written by go test ./schema -run Reference -update -->\n", "<!-- end of "+part+" -->"
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(body), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the %s", path, part)
	}
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the schema says: go test ./schema -run Reference -update", path)
	}
	if err := os.WriteFile(path, []byte(before+from+want+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func referenceTables() string {
	var b strings.Builder
	for _, table := range Tables() {
		fmt.Fprintf(&b, "\n**%s**: one row per %s\n\n| column | type | |\n| --- | --- | --- |\n", table.Name, table.RowPer)
		for _, c := range table.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, referenceType(c), c.Doc)
		}
	}
	return b.String() + "\n"
}

func referenceViews() string {
	var b strings.Builder
	b.WriteString("\n| view or function | rows |\n| --- | --- |\n")
	for _, v := range Views() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Signature(), v.Doc)
	}
	for _, v := range Views() {
		if v.table != nil {
			continue // its table's columns are above
		}
		fmt.Fprintf(&b, "\n<details><summary><code>%s</code>: columns</summary>\n\n| | type | |\n| --- | --- | --- |\n", v.Signature())
		for _, a := range v.Arguments {
			value := ""
			if a.Default != "" {
				value = "; in DuckDB " + a.Default + " if left out"
			}
			fmt.Fprintf(&b, "| argument `%s` | %s | %s%s |\n", a.Name, referenceType(Column{Type: a.Type}), a.Doc, value)
		}
		for _, c := range v.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, referenceType(c), c.Doc)
		}
		b.WriteString("\n</details>\n")
	}
	return b.String() + "\n"
}

func referenceType(c Column) string {
	name := typeNames[c.Type]
	if c.Type == StructList {
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Name+" "+referenceType(f))
		}
		name = "list of (" + strings.Join(fields, ", ") + ")"
	}
	if c.Nullable {
		name += ", or null"
	}
	return name
}

package schema

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's tables anew")

// The README's tables are the schema's.
func TestReadmeTables(t *testing.T) {
	const path, from, to = "../README.md", "-update -->\n", "<!-- end of tables -->"
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(body), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok1 || !ok2 {
		t.Fatal("the README has no place for the tables")
	}
	want := readmeTables()
	if got == want {
		return
	}
	if !*update {
		t.Fatal("the README's tables are not the schema's: go test ./schema -run Readme -update")
	}
	if err := os.WriteFile(path, []byte(before+from+want+to+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readmeTables() string {
	var b strings.Builder
	for _, table := range Tables() {
		fmt.Fprintf(&b, "\n**%s**: one row per %s\n\n| column | type | |\n| --- | --- | --- |\n", table.Name, table.RowPer)
		for _, c := range table.Columns {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", c.Name, readmeType(c), c.Doc)
		}
	}
	return b.String() + "\n"
}

func readmeType(c Column) string {
	name := map[Type]string{String: "string", Timestamp: "timestamp", Double: "double", Int32: "int32", Int64: "int64", StringList: "list of string"}[c.Type]
	if c.Type == StructList {
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Name+" "+readmeType(f))
		}
		name = "list of (" + strings.Join(fields, ", ") + ")"
	}
	if c.Nullable {
		name += ", or null"
	}
	return name
}

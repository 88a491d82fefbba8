package readers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/npm"
	"github.com/cvexport/cvexport/schema"
)

// testDataFusion compares DataFusion's rows and types with DuckDB's. It answers with text
// alone, so that each value comes as the base64 of its text, from which DuckDB makes a
// value again.
func testDataFusion(t *testing.T, root string) {
	folder, err := npm.Install()
	if err != nil {
		t.Fatal(err)
	}
	create := snippet(t, "DataFusion", "sql")
	location := regexp.MustCompile(`'(s3://.*/)predictions/'`).FindStringSubmatch(create)
	if location == nil {
		t.Fatalf("no LOCATION in %s", create)
	}
	var queries []string
	for _, table := range schema.Tables() {
		var values []string
		lists := "SELECT 1"
		for _, name := range strings.Split(named(table), ", ") {
			if isStructs(table, name) {
				lists = fmt.Sprintf("SELECT project_id, iteration_id, unnest(%s) AS element FROM %s", name, table.Name)
				continue
			}
			values = append(values, fmt.Sprintf("coalesce(encode(CAST(%s AS VARCHAR), 'base64'), '-') AS %[1]s", name))
		}
		queries = append(queries, strings.ReplaceAll(create, "predictions", table.Name), "DESCRIBE "+table.Name,
			fmt.Sprintf("SELECT %s FROM %s", strings.Join(values, ", "), table.Name), lists)
	}
	answers := askDataFusion(t, folder, root, location[1], queries)

	db := openDuckDB(t)
	query := snippet(t, "DuckDB", "sql")
	for i, table := range schema.Tables() {
		types := map[string]string{}
		for _, row := range answers[4*i+1] {
			types[row["column_name"]] = row["data_type"]
		}
		want := map[string]string{"project_id": "Dictionary(UInt16, Utf8)", "iteration_id": "Dictionary(UInt16, Utf8)"}
		for _, c := range table.Columns {
			want[c.Name] = arrowNames[c.Type]
		}
		for name, w := range want {
			if got := types[name]; !strings.HasPrefix(got, w) || w == "" {
				t.Errorf("%s.%s is %s, want %s", table.Name, name, got, w)
			}
		}
		if len(types) != len(want) {
			t.Errorf("%s has the columns %v", table.Name, types)
		}

		var body bytes.Buffer
		for _, row := range answers[4*i+2] {
			decoded := map[string]any{}
			for name, value := range row {
				if value == "-" {
					continue
				}
				text, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
				if err != nil {
					t.Fatalf("%s.%s is %q: %v", table.Name, name, value, err)
				}
				decoded[name] = string(text)
			}
			for _, c := range table.Columns {
				if c.Type == schema.StructList {
					decoded[c.Name] = elements(answers[4*i+3], decoded)
				}
			}
			if err := json.NewEncoder(&body).Encode(decoded); err != nil {
				t.Fatal(err)
			}
		}
		file := filepath.Join(t.TempDir(), table.Name+".json")
		if err := os.WriteFile(file, body.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		execute(t, db, fmt.Sprintf("CREATE TABLE %s (%s)", table.Name, table.NativeColumns()))
		var kinds []string
		for _, name := range strings.Split(named(table), ", ") {
			kind := "VARCHAR"
			if isStructs(table, name) {
				kind = "MAP(VARCHAR, VARCHAR)[]"
			}
			kinds = append(kinds, name+": '"+kind+"'")
		}
		values := named(table)
		for _, c := range table.Columns {
			if c.Type == schema.StructList {
				var fields []string
				for _, f := range c.Fields {
					fields = append(fields, fmt.Sprintf("'%s': e['%[1]s']", f.Name))
				}
				values = strings.Replace(values, c.Name, fmt.Sprintf("list_transform(%s, lambda e: {%s}) AS %[1]s", c.Name, strings.Join(fields, ", ")), 1)
			}
		}
		execute(t, db, fmt.Sprintf("INSERT INTO %s BY NAME SELECT %s FROM read_json('%s', columns = {%s})", table.Name, values, file, strings.Join(kinds, ", ")))
		same(t, db, table, inRoot(query, root, table.Name), "FROM "+table.Name)
	}
}

// arrowNames are Arrow's types of columns, as DataFusion writes them, or the beginning of a list's.
var arrowNames = map[schema.Type]string{
	schema.String: "Utf8", schema.Timestamp: `Timestamp(Microsecond, Some("UTC"))`, schema.Double: "Float64", schema.Int32: "Int32", schema.Int64: "Int64",
	schema.StringList: `List(Field { name: "element", data_type: Utf8, `, schema.StructList: `List(Field { name: "element", data_type: Struct([Field { name: "table", data_type: Utf8, `,
}

func isStructs(table schema.Table, column string) bool {
	for _, c := range table.Columns {
		if c.Name == column {
			return c.Type == schema.StructList
		}
	}
	return false
}

// elements returns the list of structs of one row, of the elements of all, each of which
// is written as {name: value, name: value}. No value has a comma.
func elements(all []map[string]string, row map[string]any) (list []map[string]string) {
	for _, e := range all {
		if e["project_id"] != row["project_id"] || e["iteration_id"] != row["iteration_id"] {
			continue
		}
		element := map[string]string{}
		for pair := range strings.SplitSeq(strings.Trim(e["element"], "{}"), ", ") {
			name, value, _ := strings.Cut(pair, ": ")
			element[name] = value
		}
		list = append(list, element)
	}
	return list
}

// askDataFusion returns the rows of each query.
func askDataFusion(t *testing.T, folder, root, location string, queries []string) (answers [][]map[string]string) {
	t.Helper()
	script, err := filepath.Abs("datafusion.mjs")
	if err != nil {
		t.Fatal(err)
	}
	request, err := json.Marshal([]any{root, location, queries})
	if err != nil {
		t.Fatal(err)
	}
	// V8 would spend seconds on optimizing 31 MB of code for queries of milliseconds.
	node := exec.Command("node", "--liftoff-only", script)
	node.Dir, node.Stdin, node.Stderr = folder, bytes.NewReader(request), os.Stderr
	said, err := node.Output()
	if err != nil {
		t.Fatalf("datafusion.mjs: %v", err)
	}
	var printed []string
	if err := json.Unmarshal(said, &printed); err != nil {
		t.Fatal(err)
	}
	for _, answer := range printed {
		var header []string
		var rows []map[string]string
		for line := range strings.Lines(answer) {
			cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
			switch {
			case !strings.HasPrefix(line, "|"):
			case header == nil:
				for _, c := range cells {
					header = append(header, strings.TrimSpace(c))
				}
			default:
				row := map[string]string{}
				for i, c := range cells {
					row[header[i]] = strings.TrimSpace(c)
				}
				rows = append(rows, row)
			}
		}
		answers = append(answers, rows)
	}
	if len(answers) != len(queries) {
		t.Fatalf("%d answers to %d queries", len(answers), len(queries))
	}
	return answers
}

package query

import (
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Values of every type are written as DuckDB writes them, in a transaction too.
func TestEveryType(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{
		"FROM test_all_types()",
		`SELECT 12345678901234567890.123456789 AS decimal, 1.10 AS cents, 1e6::DOUBLE AS million, [1.10] AS list, {'u': '00000000-0000-0000-0000-00000000000a'::UUID} AS struct,
			MAP {1: {'a': INTERVAL 1 YEAR}} AS map, 'NaN'::FLOAT AS nan, ['-Infinity'::DOUBLE] AS less, 'infinity'::TIMESTAMPTZ AS never, row(1, NULL) AS row,
			'"NaN" \ Infinity' AS text, ['"NaN" \ Infinity', 'NaN'] AS texts, '{"NaN": "\"NaN"}'::JSON AS json, '[null]'::JSON AS nulls, NULL AS none`,
	} {
		var names []string
		want := map[string][]map[string]string{"csv": nil, "json": nil}
		for format, as := range map[string]string{"csv": "COLUMNS(*)::VARCHAR", "json": "to_json(COLUMNS(*))::VARCHAR"} {
			rows, err := db.QueryContext(t.Context(), "SELECT "+as+" FROM ("+text+")")
			if err != nil {
				t.Fatal(err)
			}
			err = useRows(rows, nil, formatted, func(r result) error {
				names = r.columns
				for row, err := range r.rows {
					if err != nil {
						return err
					}
					values := map[string]string{}
					for c, v := range row {
						values[r.columns[c]] = v.V
						if !v.Valid && format == "json" {
							values[r.columns[c]] = "null"
						}
					}
					want[format] = append(want[format], values)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, before := range []string{"SET TimeZone = 'UTC'; ", "BEGIN; "} {
			out := mustRun(t, root, CSV, before+text)
			lines, err := csv.NewReader(strings.NewReader(out)).ReadAll()
			if err != nil || !slices.Equal(lines[0], names) {
				t.Fatalf("%s: %q, %v", text, lines, err)
			}
			var got []map[string]string
			for _, line := range lines[1:] {
				values := map[string]string{}
				for c, value := range line {
					values[names[c]] = value
				}
				got = append(got, values)
			}
			if diff := cmp.Diff(want["csv"], got); diff != "" {
				t.Errorf("csv (-duckdb +got):\n%s", diff)
			}

			out = mustRun(t, root, JSON, before+text)
			var objects []map[string]json.RawMessage
			if err := json.Unmarshal([]byte(out), &objects); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			got = nil
			for _, object := range objects {
				values := map[string]string{}
				for name, value := range object {
					values[name] = string(value)
				}
				got = append(got, values)
			}
			for _, row := range want["json"] { // what is not JSON is a string
				for name, value := range row {
					if !json.Valid([]byte(value)) {
						value = strings.NewReplacer("-Infinity", `"-Infinity"`, "Infinity", `"Infinity"`, "NaN", `"NaN"`).Replace(value)
						if !json.Valid([]byte(value)) {
							t.Errorf("%s: %s", name, value)
						}
						row[name] = value
					}
				}
			}
			if diff := cmp.Diff(want["json"], got); diff != "" {
				t.Errorf("json (-duckdb +got):\n%s", diff)
			}
		}
	}
	out := mustRun(t, root, Table, "SELECT INTERVAL '26 hours' AS i, histogram(x) AS h, 1.10 AS d, uuid() IS NULL AS u, 'infinity'::DATE AS e, [1e3::DOUBLE] AS l FROM (VALUES ('b'), ('a'), ('b')) AS v(x)")
	want := `i         h              d  u      e         l
--------  ----------  ----  -----  --------  --------
26:00:00  {a=1, b=2}  1.10  false  infinity  [1000.0]
(1 row)
`
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package query

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

func TestNamesIn(t *testing.T) {
	const all = "images predictions tags regions tag_performance exports"
	for text, want := range map[string]string{
		"SELECT 1":                               "",
		"FROM exports":                           "exports",
		`SELECT * FROM "Exports"`:                "exports",
		"select count(*) from main.IMAGES":       "images",
		"FROM tags_2, myimages":                  "",
		"FROM tag_metrics(0.5, 0.3)":             "predictions tags regions tag_performance exports",
		"DESCRIBE hardest_images":                "images predictions tags regions exports",
		"CREATE MACRO m() AS TABLE FROM regions": "regions",
		"FROM query('FROM ' || 'exp' || 'orts')": all,
		"FROM query_table(['tags'])":             all,
		"FROM '/cache/exp*/**/*.parquet'":        all,
		"ATTACH 'views.db'":                      all,
		"SELECT queries FROM exports":            "exports",
	} {
		wanted := namesIn(text)
		var got []string
		for _, table := range schema.Tables() {
			if wanted(table.Name) {
				got = append(got, table.Name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// The functions that the SQL names exist, and those that they read.
func TestFunctionsIn(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	var all []string
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 {
			all = append(all, v.Name)
		}
	}
	slices.Sort(all)
	for text, want := range map[string]string{
		"FROM images":                      "",
		"FROM confusion()":                 "confusion mistakes outcomes",
		"FROM duckdb_functions() LIMIT 0;": strings.Join(all, " "),
	} {
		db, err := Open(t.Context(), root, All, namesIn(text))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		// Besides, there are the helpers of those.
		err = db.QueryRow("SELECT coalesce(string_agg(DISTINCT function_name, ' ' ORDER BY function_name), '') FROM duckdb_functions() WHERE function_type = 'table_macro' AND function_name IN " + list(all)).Scan(&got)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s has %q, want %q", text, got, want)
		}
	}
}

// An error about a wrong name suggests the right one and shows where it is.
func TestHints(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long")
	}
	root := newWarehouse(t, "warehouse")
	for text, want := range map[string]string{
		"SELECT * FROM tag_metric(0.5, 0.3)":               "tag_metrics is a function: SELECT * FROM tag_metrics(probability_threshold := 0.5, overlap_threshold := 0.3)",
		"SELECT * FROM tag_metrics":                        "tag_metrics is a function: SELECT * FROM tag_metrics(",
		"FROM hardest_image":                               "hardest_images is a function: SELECT * FROM hardest_images(",
		"FROM current_label":                               `Did you mean "current_labels"?`,
		"FROM current_labels()":                            "current_labels takes no arguments: SELECT * FROM current_labels",
		"FROM curent_image()":                              "current_images takes no arguments",
		"FROM elsewhere":                                   "cvreport query --help lists the views and functions",
		"SELECT 1;\nSELECT nope FROM tags":                 "LINE 2: SELECT nope FROM tags\n               ^",
		"SELECT 1;\nSELECT tag_name::INT FROM predictions": "LINE 2: SELECT tag_name::INT FROM predictions\n",
		"SELECT tag_name::INT\nFROM predictions":           "LINE 1: SELECT tag_name::INT\n",
		"SELECT 1;\nSELECT tag_name::\nINT, x FROM tags":   `column "x"`,
	} {
		for _, format := range []Format{Table, JSON, Parquet} {
			stdout, err := answer(t, root, format, "-", text)
			if err == nil || !strings.Contains(err.Error(), want) || stdout != "" {
				t.Errorf("%s, %s: %v, %s\nwant %s", text, format, err, stdout, want)
			}
		}
	}
}

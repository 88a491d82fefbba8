package viewtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/schema"
)

// Every function refuses every argument that makes no sense, however its rows are
// asked for, and names the argument, its value and what it takes.
func TestFunctionsRefuseArguments(t *testing.T) {
	db := handWorkedPair(t)
	execute(t, db, "SET VARIABLE wrong = 1.5")

	nonsense := map[string]string{ // an argument, and how a message has it
		"-1": "not -1", "1.5": "not 1.5", "'NaN'::DOUBLE": "not nan", "'-Infinity'::DOUBLE": "not -inf", "NULL": "not NULL", "getvariable('wrong')": "not 1.5",
	}
	strangers := map[string]string{"'nobody'": "iteration nobody of project", "NULL": "iteration NULL of project"}
	queries := []string{
		"SELECT count(*) FROM %s",
		"SELECT * FROM %s",
		"SELECT 1 FROM %s LIMIT 1",
		"SELECT * FROM %s WHERE project_id = 'nobody'",
	}
	for _, v := range schema.Views() {
		var values, nulls []string // conditions on all columns, which would contradict each other if these were the same
		for i, c := range v.Columns {
			value := fmt.Sprint(i)
			if c.Type == schema.String {
				value = "'" + value + "'"
			}
			if c.Type != schema.Timestamp {
				values, nulls = append(values, c.Name+" = "+value), append(nulls, c.Name+" IS NULL")
			}
		}
		queries := append(slices.Clip(queries), "SELECT * FROM %s WHERE "+strings.Join(values, " AND "), "SELECT * FROM %s WHERE "+strings.Join(nulls, " AND "))
		for _, a := range v.Arguments {
			values, takes := nonsense, "must be a number from 0 to 1"
			if a.Type == schema.String {
				values, takes = strangers, "the warehouse has no export of"
			}
			for value, told := range values {
				var given []string
				for _, other := range v.Arguments {
					sense := "'" + other.Name + "'" // as the ids are
					if other.Type == schema.Double {
						sense = "0.5"
					}
					if other.Name == a.Name {
						sense = value
					}
					given = append(given, sense)
				}
				if a.Name == "project" { // whose iterations it then lacks
					told = strings.ReplaceAll(strings.TrimSuffix(told, " of project"), "iteration", "project")
				}
				of := queries
				if value != "NULL" && (value != "1.5" || testing.Short()) { // NULL is the value that makes an answer's conditions constant
					of = queries[:1]
				}
				for _, query := range of {
					query = fmt.Sprintf(query, v.Name+"("+strings.Join(given, ", ")+")")
					_, err := db.ExecContext(t.Context(), query)
					if err == nil {
						t.Errorf("%s: no error", query)
						continue
					}
					for _, want := range []string{takes, told} {
						if !strings.Contains(err.Error(), want) {
							t.Errorf("%s: %v\nwant %q", query, err, want)
						}
					}
					if a.Type == schema.Double && !strings.Contains(err.Error(), a.Name) {
						t.Errorf("%s: %v\nwhich does not name %s", query, err, a.Name)
					}
				}
			}
		}
	}
}

package page

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// views queries the warehouse for what the page must show at a threshold. It does not
// use the page's own data.
type views struct {
	testing.TB
	db                     *sql.DB
	project, shown, before string
	threshold              float64
}

func newViews(t testing.TB, db *sql.DB) *views {
	t.Helper()
	v := &views{TB: t, db: db}
	row := db.QueryRowContext(context.Background(), `SELECT any_value(project_id), max_by(iteration_id, trained_at), (SELECT iteration_id FROM exports ORDER BY trained_at DESC LIMIT 1 OFFSET 1) FROM exports`)
	if err := row.Scan(&v.project, &v.shown, &v.before); err != nil {
		t.Fatal(err)
	}
	return v
}

// ask returns the rows of a query, with numbers as float64. In the query, {at} stands for
// both thresholds as arguments, {overlap} for that of boxes, {shown} and {before} for the
// ids of the iterations, and {changes} and {comparison} for the functions that compare them.
func (v *views) ask(query string) (lines [][]any) {
	v.Helper()
	at := fmt.Sprintf("CAST(%v AS DOUBLE), CAST(0.3 AS DOUBLE)", v.threshold)
	query = strings.NewReplacer(
		"{at}", "("+at+")", "{overlap}", "(CAST(0.3 AS DOUBLE))", "{shown}", "'"+v.shown+"'", "{before}", "'"+v.before+"'",
		"{changes}", fmt.Sprintf("iteration_changes('%s', '%s', '%s', %s)", v.project, v.before, v.shown, at),
		"{comparison}", fmt.Sprintf("comparison('%s', '%s', '%s', %s)", v.project, v.before, v.shown, at),
	).Replace(query)
	rows, err := v.db.QueryContext(context.Background(), query)
	if err != nil {
		v.Fatalf("%v, in %s", err, query)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		v.Fatal(err)
	}
	for rows.Next() {
		line, into := make([]any, len(columns)), make([]any, len(columns))
		for n := range line {
			into[n] = &line[n]
		}
		if err := rows.Scan(into...); err != nil {
			v.Fatalf("%v, in %s", err, query)
		}
		for n, value := range line {
			switch value := value.(type) {
			case int32:
				line[n] = float64(value)
			case int64:
				line[n] = float64(value)
			}
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		v.Fatal(err)
	}
	return lines
}

// one returns the only row of a query.
func (v *views) one(query string) []any {
	v.Helper()
	lines := v.ask(query)
	if len(lines) != 1 {
		v.Fatalf("%d rows, not one, of %s", len(lines), query)
	}
	return lines[0]
}

const (
	narrow = "\u202f"
	none   = "–"
)

// fixed writes a number as the page does: halves are rounded away from zero.
func fixed(f float64, digits int) string {
	scale := math.Pow(10, float64(digits))
	if scaled := f * scale; math.Abs(scaled-math.Trunc(scaled)) == 0.5 {
		f = (math.Trunc(scaled) + math.Copysign(1, scaled)) / scale
	}
	return strconv.FormatFloat(f, 'f', digits, 64)
}

func percent(v any) string {
	if v == nil {
		return none
	}
	return fixed(v.(float64)*100, 1) + narrow + "%"
}

func whole(v any) string {
	if v == nil {
		return none
	}
	text := strconv.FormatFloat(v.(float64), 'f', 0, 64)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// probability writes three significant digits, and 0 or 1 only for exactly that.
func probability(v any) string {
	if v == nil {
		return none
	}
	switch f := v.(float64); {
	case f > 0 && f < 0.001:
		return "< 0.001"
	case f > 0.999 && f < 1:
		return "> 0.999"
	}
	f, _ := strconv.ParseFloat(strconv.FormatFloat(v.(float64), 'g', 3, 64), 64)
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// sureness writes a confidence, which is never 0 or 100 %.
func sureness(v any) string {
	switch f := v.(float64); {
	case f >= 0.9995:
		return "> 99.9" + narrow + "%"
	case f > 0 && f < 0.0005:
		return "< 0.1" + narrow + "%"
	}
	return percent(v)
}

// named returns a name, or absent if there is none.
func named(v any, absent string) string {
	if v == nil {
		return absent
	}
	return v.(string)
}

// drawn rounds a number as the page does for drawing: never up to 1.
func drawn(v any) float64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(v.(float64), 'g', 6, 64), 64)
	if f == 1 {
		return v.(float64)
	}
	return f
}

// change writes a difference with its sign.
func change(now, before any, scale float64, digits int) string {
	if now == nil || before == nil {
		return none
	}
	text := fixed((now.(float64)-before.(float64))*scale, digits)
	f, _ := strconv.ParseFloat(text, 64)
	text = strings.TrimPrefix(text, "-")
	switch {
	case f > 0:
		return "+" + text
	case f < 0:
		return "−" + text
	}
	return "±" + text
}

// line is a row of a table, by the column's head.
type line map[string]string

// cells reads the rows of a table, with its foot and without what is hidden from screen
// readers.
func cells(b *tab, id string) []line {
	b.Helper()
	return read[[]line](b, `(() => {
  const text = (e) => { const c = e.cloneNode(true); c.querySelectorAll("[aria-hidden]").forEach((h) => h.remove()); return c.textContent.trim(); };
  const t = document.querySelector("#`+id+` table");
  if (!t) return [];
  const heads = [...t.tHead.rows[0].cells].map(text);
  return [...t.tBodies[0].rows, ...(t.tFoot?.rows ?? [])].map((r) => Object.fromEntries([...r.cells].map((c, n) => [heads[n], text(c)])));
})()`)
}

// compare compares the rows of a table with those wanted, in the columns that those have.
// Unless ordered is set, they may be in any order.
func compare(b *tab, what string, got, want []line, ordered bool) {
	b.Helper()
	if len(want) == 0 {
		if len(got) != 0 {
			b.Errorf("%s: the page has %v, the views have nothing", what, got)
		}
		return
	}
	write := func(lines []line) (texts []string) {
		for _, l := range lines {
			var parts []string
			for head := range want[0] {
				text, ok := l[head]
				if !ok {
					text = "(no such column)"
				}
				parts = append(parts, head+" "+text)
			}
			slices.Sort(parts)
			texts = append(texts, strings.Join(parts, ", "))
		}
		if !ordered {
			slices.Sort(texts)
		}
		return texts
	}
	same(b, what, write(got), write(want))
}

// same compares two lists and reports the first difference.
func same(b *tab, what string, got, want []string) {
	b.Helper()
	for n := range max(len(got), len(want)) {
		g, w := "(nothing)", "(nothing)"
		if n < len(got) {
			g = got[n]
		}
		if n < len(want) {
			w = want[n]
		}
		if g != w {
			b.Errorf("%s, number %d of %d: the page says\n\t%s\nthe views say\n\t%s", what, n+1, len(want), g, w)
			return
		}
	}
}

package query

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"
	"github.com/mattn/go-runewidth"

	"github.com/cvexport/cvexport/internal/printable"
)

// writeTable writes aligned columns for people, numbers to the right. The first rows
// determine the widths, so that the rest can be streamed; longer cells among those push
// their line out.
func writeTable(w io.Writer, r result) error {
	if len(r.columns) == 0 {
		return nil
	}
	const measured = 1000 // rows
	plan := slices.Equal(r.columns, []string{"explain_key", "explain_value"})
	t := table{w: w, waiting: [][][]string{cellsOf(r.columns, false)}}
	for _, databaseType := range r.types {
		fill := runewidth.FillRight
		if number.MatchString(databaseType) {
			fill = runewidth.FillLeft
		}
		t.fill = append(t.fill, fill)
	}
	count := 0
	for row, err := range r.rows {
		if err != nil {
			return err
		}
		count++
		line := make([]string, len(row))
		for c, v := range row {
			line[c] = "NULL"
			if v.Valid {
				line[c] = v.V
			}
		}
		t.waiting = append(t.waiting, cellsOf(line, plan))
		if count >= measured {
			if err := t.flush(); err != nil {
				return err
			}
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	end := fmt.Sprintf("(%d rows)\n", count)
	if count == 1 {
		end = "(1 row)\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// table writes rows of cells of one or several lines.
type table struct {
	w       io.Writer
	fill    []func(text string, width int) string // of each column
	widths  []int                                 // nil before the first row is written
	waiting [][][]string
}

// flush writes the waiting rows. The first time, it measures them and writes a rule
// below the first one, the header.
func (t *table) flush() error {
	if t.widths == nil {
		t.widths = make([]int, len(t.fill))
		for _, cells := range t.waiting {
			for c, lines := range cells {
				for _, line := range lines {
					t.widths[c] = max(t.widths[c], runewidth.StringWidth(line))
				}
			}
		}
		rule := make([]string, len(t.widths))
		for c, width := range t.widths {
			rule[c] = strings.Repeat("-", width)
		}
		t.waiting = slices.Insert(t.waiting, 1, cellsOf(rule, false))
	}
	for _, cells := range t.waiting {
		if err := t.write(cells); err != nil {
			return err
		}
	}
	t.waiting = t.waiting[:0]
	return nil
}

func (t *table) write(cells [][]string) error {
	height := 0
	for _, lines := range cells {
		height = max(height, len(lines))
	}
	var b strings.Builder
	for n := range height {
		texts := make([]string, len(cells))
		for c, lines := range cells {
			if n < len(lines) {
				texts[c] = lines[n]
			}
			texts[c] = t.fill[c](texts[c], t.widths[c])
		}
		b.WriteString(strings.TrimRight(strings.Join(texts, "  "), " ") + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// maxCell bounds a cell of a table for people, in characters, and its lines.
const (
	maxCell  = 4_000
	maxLines = 100
)

// short cuts a text to what a cell may have.
func short(text string) string {
	n, lines := 0, 1
	for at, r := range text {
		if r == '\n' {
			lines++
		}
		if n++; n > maxCell || lines > maxLines {
			return text[:at] + fmt.Sprintf("... (%d bytes; --format csv and json have all)", len(text))
		}
	}
	return text
}

// cellsOf makes texts printable, each in one line, which cannot be taken for another row.
// Those of a plan have the lines that they come with.
func cellsOf(texts []string, plan bool) [][]string {
	cells := make([][]string, len(texts))
	for c, text := range texts {
		text = short(text)
		if !plan {
			cells[c] = []string{printable.Line(text)}
			continue
		}
		for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
			cells[c] = append(cells[c], printable.Line(line))
		}
	}
	return cells
}

// number matches DuckDB's types of numbers.
var number = regexp.MustCompile(`^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|BIGNUM|FLOAT|DOUBLE|DECIMAL)(\([0-9,]+\))?$`)

// writeCSV distinguishes NULL from an empty string, which it quotes, as DuckDB and
// Postgres do.
func writeCSV(w io.Writer, r result) error {
	fields := make([]string, len(r.columns))
	for c, name := range r.columns {
		fields[c] = csvField(name)
	}
	for row, err := range r.rows {
		if err == nil {
			_, err = io.WriteString(w, strings.Join(fields, ",")+"\n")
		}
		if err != nil {
			return err
		}
		for c, v := range row {
			fields[c] = ""
			if v.Valid {
				fields[c] = csvField(v.V)
			}
		}
	}
	_, err := io.WriteString(w, strings.Join(fields, ",")+"\n")
	return err
}

// csvField quotes what a reader could misunderstand.
func csvField(text string) string {
	if text != "" && text == strings.TrimSpace(text) && text[0] != '#' && !strings.ContainsAny(text, "\",\r\n") {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// writeJSON writes an array of objects, one a line, with the columns in their order.
func writeJSON(w io.Writer, r result) error {
	var names []string
	for _, column := range r.columns {
		names = append(names, plainJSON(column))
	}
	begin, end := "[", "[]\n"
	for row, err := range r.rows {
		if err != nil {
			return err
		}
		members := make([]string, len(row))
		for c, v := range row {
			members[c] = names[c] + ": null"
			if v.Valid {
				members[c] = names[c] + ": " + finite(v.V)
			}
		}
		if _, err := io.WriteString(w, begin+"\n  {"+strings.Join(members, ", ")+"}"); err != nil {
			return err
		}
		begin, end = ",", "\n]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// notFinite matches what DuckDB writes although JSON has no such number, and every
// string, because its content may look the same.
var notFinite = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|NaN|-?Infinity`)

// finite makes strings of the numbers in JSON that are not finite.
func finite(text string) string {
	if !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
		return text
	}
	return notFinite.ReplaceAllStringFunc(text, func(match string) string {
		if match[0] == '"' {
			return match
		}
		return `"` + match + `"`
	})
}

// plainText formats a value of the driver as text.
func plainText(v any) string {
	switch v := v.(type) {
	case []byte:
		return string(v)
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.999999Z")
	case []any, map[string]any:
		return plainJSON(v)
	}
	return fmt.Sprint(v)
}

// plainJSON formats a value of the driver as JSON. It does not escape < and &.
func plainJSON(v any) string {
	if number, ok := v.(duckdb.Decimal); ok {
		return number.String()
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil { // such as a number that is not finite
		return plainJSON(fmt.Sprint(v))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

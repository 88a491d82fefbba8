package query

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// writeTable writes aligned columns for people, numbers to the right. The first rows
// determine the widths, so that the rest can be streamed; longer cells among those push
// their line out.
func writeTable(w io.Writer, r result) error {
	if len(r.columns) == 0 {
		return nil
	}
	const measured = 1000 // rows
	t := table{w: w, types: r.types, waiting: [][][]string{cellsOf(r.columns)}}
	count := 0
	for row, err := range r.rows {
		if err != nil {
			return err
		}
		count++
		line := make([]string, len(row))
		for c, v := range row {
			line[c] = cellText(v, "NULL")
		}
		t.waiting = append(t.waiting, cellsOf(line))
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
	types   []string
	widths  []int // nil before the first row is written
	waiting [][][]string
}

// flush writes the waiting rows. The first time, it measures them and writes a rule
// below the first one, the header.
func (t *table) flush() error {
	if t.widths == nil {
		t.widths = make([]int, len(t.types))
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
		t.waiting = slices.Insert(t.waiting, 1, cellsOf(rule))
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
		line := ""
		for c, lines := range cells {
			if c > 0 {
				line += "  "
			}
			text := ""
			if n < len(lines) {
				text = lines[n]
			}
			if isNumber(t.types[c]) {
				line += runewidth.FillLeft(text, t.widths[c])
			} else {
				line += runewidth.FillRight(text, t.widths[c])
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// cellsOf splits texts into lines and replaces control characters, which could move
// the cursor.
func cellsOf(texts []string) [][]string {
	cells := make([][]string, len(texts))
	for c, text := range texts {
		for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
			cells[c] = append(cells[c], strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r
			}, line))
		}
	}
	return cells
}

func isNumber(databaseType string) bool {
	name, _, _ := strings.Cut(databaseType, "(")
	switch name {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}

// writeCSV distinguishes NULL from an empty string, which it quotes, as DuckDB and
// Postgres do.
func writeCSV(w io.Writer, r result) error {
	write := func(values []any) error {
		fields := make([]string, len(values))
		for c, v := range values {
			if v != nil {
				fields[c] = csvField(cellText(v, ""))
			}
		}
		_, err := io.WriteString(w, strings.Join(fields, ",")+"\n")
		return err
	}
	var header []any
	for _, name := range r.columns {
		header = append(header, name)
	}
	if err := write(header); err != nil {
		return err
	}
	for row, err := range r.rows {
		if err != nil {
			return err
		}
		if err := write(row); err != nil {
			return err
		}
	}
	return nil
}

// csvField quotes what a reader could misunderstand.
func csvField(text string) string {
	if text != "" && text == strings.TrimSpace(text) && text[0] != '#' && !strings.ContainsAny(text, "\",\r\n") {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

// cellText formats a value for people.
func cellText(v any, null string) string {
	switch v := v.(type) {
	case nil:
		return null
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32)
	case time.Time:
		return v.UTC().Format("2006-01-02 15:04:05.999999Z")
	case []any, map[string]any:
		text, err := marshal(v)
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
	return fmt.Sprint(v)
}

// writeJSON writes an array of objects, one a line, with the columns in their order.
func writeJSON(w io.Writer, r result) error {
	var names [][]byte
	for _, column := range r.columns {
		name, err := marshal(column)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	begin, count := "[", 0
	for row, err := range r.rows {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		b.WriteString(begin + "\n  {")
		for c, v := range row {
			if c > 0 {
				b.WriteString(", ")
			}
			value, err := jsonText(v, r.formatted)
			if err != nil {
				return fmt.Errorf("column %s, row %d: %w", r.columns[c], count, err)
			}
			b.Write(names[c])
			b.WriteString(": ")
			b.Write(value)
		}
		b.WriteByte('}')
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
		begin = ","
		count++
	}
	end := "\n]\n"
	if count == 0 {
		end = "[]\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// notFinite matches what DuckDB writes although JSON has no such number, and every
// string, because its content may look the same.
var notFinite = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|NaN|-?Infinity`)

// jsonText returns a value as JSON. A formatted one is JSON but for numbers that are
// not finite.
func jsonText(v any, formatted bool) ([]byte, error) {
	text, ok := v.(string)
	if !formatted || !ok {
		return marshal(v)
	}
	if !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
		return []byte(text), nil
	}
	return notFinite.ReplaceAllFunc([]byte(text), func(match []byte) []byte {
		if match[0] == '"' {
			return match
		}
		return []byte(`"` + string(match) + `"`)
	}), nil
}

// marshal does not escape < and &.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

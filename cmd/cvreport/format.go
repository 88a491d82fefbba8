package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// format is how an answer is written, and how DuckDB writes its values.
type format struct {
	as    string
	write func(io.Writer, answer) error
}

var formats = map[string]format{"table": {asText, writeTable}, "csv": {asText, writeCSV}, "json": {asJSON, writeJSON}}

// writeTable is for people: aligned, numbers to the right, NULL told apart
// from an empty text. The first rows say how wide the columns are, so that the rest
// can be written as it comes; longer cells among those push the line out.
func writeTable(w io.Writer, a answer) error {
	if len(a.columns) == 0 {
		return nil
	}
	const measured = 1000 // rows
	t := table{w: w, widths: make([]int, len(a.columns)), right: make([]bool, len(a.columns))}
	for c := range t.right {
		t.right[c] = isNumber(a.types[c])
	}
	waiting := [][][]string{cellsOf(a.columns)}
	count := 0
	for row, err := range a.rows {
		if err != nil {
			return err
		}
		count++
		line := make([]string, len(row))
		for c, v := range row {
			line[c] = cellText(v, "NULL")
		}
		cells := cellsOf(line)
		if count > measured {
			if err := t.flush(&waiting); err != nil {
				return err
			}
			if err := t.write(cells); err != nil {
				return err
			}
			continue
		}
		waiting = append(waiting, cells)
	}
	if err := t.flush(&waiting); err != nil {
		return err
	}
	end := fmt.Sprintf("(%d rows)\n", count)
	if count == 1 {
		end = "(1 row)\n"
	}
	_, err := io.WriteString(w, end)
	return err
}

// table writes rows of cells, each of one or several lines.
type table struct {
	w      io.Writer
	widths []int
	right  []bool
}

// flush measures and writes the rows that wait, of which the first is the head.
func (t *table) flush(waiting *[][][]string) error {
	for _, cells := range *waiting {
		for c, lines := range cells {
			for _, line := range lines {
				t.widths[c] = max(t.widths[c], runewidth.StringWidth(line))
			}
		}
	}
	for n, cells := range *waiting {
		if err := t.write(cells); err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		rule := make([]string, len(t.widths))
		for c, width := range t.widths {
			rule[c] = strings.Repeat("-", width)
		}
		if err := t.write(cellsOf(rule)); err != nil {
			return err
		}
	}
	*waiting = nil
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
			space := strings.Repeat(" ", max(0, t.widths[c]-runewidth.StringWidth(text)))
			if t.right[c] {
				line += space + text
			} else {
				line += text + space
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(t.w, b.String())
	return err
}

// cellsOf parts texts into lines, without what would move the cursor.
func cellsOf(texts []string) [][]string {
	cells := make([][]string, len(texts))
	for c, text := range texts {
		for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n") {
			cells[c] = append(cells[c], strings.Map(printable, line))
		}
	}
	return cells
}

// printable keeps a name from moving the cursor.
func printable(r rune) rune {
	if r < ' ' || r == 0x7f {
		return ' '
	}
	return r
}

func isNumber(databaseType string) bool {
	name, _, _ := strings.Cut(databaseType, "(")
	switch name {
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "BIGNUM", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}

// writeCSV tells NULL from an empty text as DuckDB and Postgres do: that one is quoted.
func writeCSV(w io.Writer, a answer) error {
	write := func(n int, field func(c int) string) error {
		fields := make([]string, n)
		for c := range fields {
			fields[c] = field(c)
		}
		_, err := io.WriteString(w, strings.Join(fields, ",")+"\n")
		return err
	}
	if err := write(len(a.columns), func(c int) string { return csvField(a.columns[c]) }); err != nil {
		return err
	}
	for row, err := range a.rows {
		if err != nil {
			return err
		}
		err := write(len(row), func(c int) string {
			if row[c] == nil {
				return ""
			}
			return csvField(cellText(row[c], ""))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// csvField quotes what a reader would take for something else.
func csvField(text string) string {
	if text != "" && text == strings.TrimSpace(text) && text[0] != '#' && !strings.ContainsAny(text, "\",\r\n") {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

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

// writeJSON writes one array of objects, with the columns in their order, an
// object a line.
func writeJSON(w io.Writer, a answer) error {
	var names [][]byte
	for _, column := range a.columns {
		name, err := marshal(column)
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	begin, count := "[", 0
	for row, err := range a.rows {
		if err != nil {
			return err
		}
		var b bytes.Buffer
		b.WriteString(begin + "\n  {")
		for c, v := range row {
			if c > 0 {
				b.WriteString(", ")
			}
			value, err := jsonText(v, a.written)
			if err != nil {
				return fmt.Errorf("column %s, row %d: %w", a.columns[c], count, err)
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

// notFinite finds what DuckDB writes where JSON has no number, and each text, which may
// say the same.
var notFinite = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|NaN|-?Infinity`)

// jsonText is a value, which DuckDB may have written.
func jsonText(v any, written bool) ([]byte, error) {
	text, ok := v.(string)
	if !written || !ok {
		return marshal(v)
	}
	if !strings.Contains(text, "NaN") && !strings.Contains(text, "Infinity") {
		return []byte(text), nil
	}
	return notFinite.ReplaceAllFunc([]byte(text), func(found []byte) []byte {
		if found[0] == '"' {
			return found
		}
		return []byte(`"` + string(found) + `"`)
	}), nil
}

// marshal writes a value without turning < and & into escapes. What JSON has no
// number for becomes the text NaN, Infinity or -Infinity.
func marshal(v any) ([]byte, error) {
	if n, ok := v.(*big.Int); ok {
		return []byte(n.String()), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if _, unsupported := errors.AsType[*json.UnsupportedValueError](err); unsupported {
		b.Reset()
		err = e.Encode(finite(v))
	}
	return bytes.TrimSpace(b.Bytes()), err
}

func finite(v any) any {
	switch v := v.(type) {
	case float64:
		switch {
		case math.IsNaN(v):
			return "NaN"
		case math.IsInf(v, 1):
			return "Infinity"
		case math.IsInf(v, -1):
			return "-Infinity"
		}
	case float32:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return finite(f)
		}
	case []any:
		for i := range v {
			v[i] = finite(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = finite(v[key])
		}
	}
	return v
}

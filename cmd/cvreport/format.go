package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/mattn/go-runewidth"
)

// result is the answer of one statement.
type result struct {
	columns, types []string
	rows           [][]any
}

type writer func(io.Writer, result) error

var formats = map[string]writer{"table": writeTable, "csv": writeCSV, "json": writeJSON}

// writeTable is for people: aligned, numbers to the right, NULL told apart
// from an empty text.
func writeTable(w io.Writer, r result) error {
	if len(r.columns) == 0 {
		return nil
	}
	lines := [][]string{r.columns}
	right := make([]bool, len(r.columns))
	for c := range right {
		right[c] = isNumber(r.types[c])
	}
	for _, row := range r.rows {
		line := make([]string, len(row))
		for c, v := range row {
			line[c] = strings.Map(printable, cellText(v, "NULL"))
		}
		lines = append(lines, line)
	}
	widths := make([]int, len(r.columns))
	for _, line := range lines {
		for c, cell := range line {
			widths[c] = max(widths[c], runewidth.StringWidth(cell))
		}
	}
	var b strings.Builder
	for n, line := range lines {
		for c, cell := range line {
			if c > 0 {
				b.WriteString("  ")
			}
			space := strings.Repeat(" ", widths[c]-runewidth.StringWidth(cell))
			switch {
			case right[c]:
				b.WriteString(space + cell)
			case c == len(line)-1:
				b.WriteString(cell)
			default:
				b.WriteString(cell + space)
			}
		}
		b.WriteByte('\n')
		if n == 0 {
			for c, width := range widths {
				if c > 0 {
					b.WriteString("  ")
				}
				b.WriteString(strings.Repeat("-", width))
			}
			b.WriteByte('\n')
		}
	}
	if len(r.rows) == 1 {
		b.WriteString("(1 row)\n")
	} else {
		fmt.Fprintf(&b, "(%d rows)\n", len(r.rows))
	}
	_, err := io.WriteString(w, b.String())
	return err
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
	case "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL":
		return true
	}
	return false
}

func writeCSV(w io.Writer, r result) error {
	out := csv.NewWriter(w)
	if err := out.Write(r.columns); err != nil {
		return err
	}
	for _, row := range r.rows {
		line := make([]string, len(row))
		for c, v := range row {
			line[c] = cellText(v, "")
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
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

// writeJSON writes one array of objects, with the columns in their order.
func writeJSON(w io.Writer, r result) error {
	var b bytes.Buffer
	b.WriteByte('[')
	for n, row := range r.rows {
		if n > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  {")
		for c, v := range row {
			if c > 0 {
				b.WriteString(", ")
			}
			name, err := marshal(r.columns[c])
			if err != nil {
				return err
			}
			value, err := marshal(v)
			if err != nil {
				return fmt.Errorf("column %s, row %d: %w", r.columns[c], n, err)
			}
			b.Write(name)
			b.WriteString(": ")
			b.Write(value)
		}
		b.WriteByte('}')
	}
	if len(r.rows) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString("]\n")
	_, err := w.Write(b.Bytes())
	return err
}

// marshal writes a value without turning < and & into escapes.
func marshal(v any) ([]byte, error) {
	if n, ok := v.(*big.Int); ok {
		return []byte(n.String()), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSpace(b.Bytes()), err
}

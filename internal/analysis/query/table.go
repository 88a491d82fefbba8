package query

import (
	"fmt"
	"io"
	"slices"
	"strings"

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

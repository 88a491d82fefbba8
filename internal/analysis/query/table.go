package query

import (
	"fmt"
	"io"
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
	t := table{w: w, widths: make([]int, len(r.columns)), right: make([]bool, len(r.columns))}
	for c := range t.right {
		t.right[c] = isNumber(r.types[c])
	}
	waiting := [][][]string{cellsOf(r.columns)}
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
		waiting = append(waiting, cellsOf(line))
		if count < measured {
			continue
		}
		if err := t.flush(&waiting); err != nil {
			return err
		}
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

// table writes rows of cells of one or several lines.
type table struct {
	w      io.Writer
	widths []int
	right  []bool
	begun  bool
}

// flush writes the waiting rows. The first time, it measures them and writes a rule
// below the first one, the header.
func (t *table) flush(waiting *[][][]string) error {
	rows := *waiting
	*waiting = nil
	if !t.begun {
		t.begun = true
		for _, cells := range rows {
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
		if err := t.write(rows[0]); err != nil {
			return err
		}
		rows[0] = cellsOf(rule)
	}
	for _, cells := range rows {
		if err := t.write(cells); err != nil {
			return err
		}
	}
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

package sql

import "strings"

// span is one statement of a script, without the semicolon: script[start:end].
// start is the first byte that is neither white space nor part of a comment.
type span struct{ start, end int }

// split returns the statements of a script. It ignores semicolons in strings, quoted names
// and comments. A string or comment that is never closed ends with the script; the analyzer
// reports it.
func split(script string) []span {
	var spans []span
	start := -1 // of the current statement; -1 before its first token
	for i := 0; i < len(script); {
		rest := script[i:]
		switch c := script[i]; {
		case c == '#' || strings.HasPrefix(rest, "--"):
			i += until(rest, 1, "\n")
			continue
		case strings.HasPrefix(rest, "/*"):
			i += until(rest, 2, "*/")
			continue
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
			continue
		}
		if start < 0 {
			start = i
		}
		switch c := script[i]; {
		case c == ';':
			spans = append(spans, span{start, i})
			start = -1
			i++
		case strings.HasPrefix(rest, `"""`) || strings.HasPrefix(rest, "'''"):
			i += untilQuote(rest, 3, rest[:3])
		case c == '"' || c == '\'' || c == '`':
			i += untilQuote(rest, 1, rest[:1])
		default:
			i++
		}
	}
	if start >= 0 {
		spans = append(spans, span{start, len(script)})
	}
	return spans
}

// until returns the length of s up to and including the first end at or after from.
func until(s string, from int, end string) int {
	if i := strings.Index(s[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(s)
}

// untilQuote is until for a quote. One after a backslash does not count, in raw strings
// either.
func untilQuote(s string, from int, quote string) int {
	for i := from; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], quote):
			return i + len(quote)
		}
	}
	return len(s)
}

// position returns the line and column of a byte of the script, from 1. As in the analyzer,
// columns count characters, and a tab extends to the next multiple of eight.
func position(script string, offset int) (line, column int) {
	before := script[:offset]
	line = 1 + strings.Count(before, "\n")
	column = 1
	for _, r := range before[strings.LastIndexByte(before, '\n')+1:] {
		if r == '\t' {
			column += 8 - (column-1)%8
		} else {
			column++
		}
	}
	return line, column
}

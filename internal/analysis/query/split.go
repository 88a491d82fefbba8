package query

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// splitLast splits SQL into its last statement and everything before it. The last
// statement keeps its line number in the text, so that errors name the right line; it
// is empty if there is no statement. count is DuckDB's parser, which has the final say.
func splitLast(text string, count func(string) (int, error)) (before, last string, err error) {
	all, err := count(text)
	if err != nil || all == 0 {
		return "", "", err
	}
	start, end := lastStatement(text)
	before, last = text[:start], text[start:end]
	first, firstErr := count(before)
	rest, restErr := count(last)
	if firstErr != nil || restErr != nil || rest == 0 || first+rest != all {
		return "", "", errors.New("cannot tell where the last statement begins: give it alone")
	}
	last = strings.Repeat("\n", strings.Count(before, "\n")) + last
	if first == 0 {
		before = ""
	}
	return before, last, nil
}

// token is what a semicolon can be part of without ending a statement, white space, or
// one character of anything else. Identifiers are tokens because they may contain $
// and may end in e, which before a quotation mark would allow backslash escapes.
var token = regexp.MustCompile(`(?s)^(?:` + strings.Join([]string{
	`[eE]'(?:[^'\\]|\\.|'')*'?`,
	`'[^']*'?`, // '' is two of them in a row
	`"[^"]*"?`,
	`[A-Za-z0-9_\x{80}-\x{10FFFF}][A-Za-z0-9_$\x{80}-\x{10FFFF}]*`,
	`\$(?:[A-Za-z_\x{80}-\x{10FFFF}][A-Za-z0-9_\x{80}-\x{10FFFF}]*)?\$`,
	`--[^\r\n]*`,
	`/\*`,
	`\s+`,
	`.`,
}, "|") + `)`)

// lastStatement returns where the last statement is that is more than white space and
// comments.
func lastStatement(text string) (start, end int) {
	segment, filled := 0, false // of the statement at hand
	eachToken(text, func(from, to int, blank bool) {
		switch {
		case text[from:to] == ";":
			if filled {
				start, end = segment, from
			}
			segment, filled = to, false
		case !blank:
			filled = true
		}
	})
	if filled {
		return segment, len(text)
	}
	return start, end
}

// eachToken calls do with the place of each token, and whether it is white space or a
// comment.
func eachToken(text string, do func(start, end int, blank bool)) {
	for pos := 0; pos < len(text); {
		size := max(1, len(token.FindString(text[pos:])))
		t := text[pos : pos+size]
		blank := strings.HasPrefix(t, "--") || strings.TrimSpace(t) == ""
		switch {
		case t == "/*":
			size, blank = commentSize(text[pos:]), true
		case t[0] == '$' && size > 1:
			if n := strings.Index(text[pos+size:], t); n >= 0 {
				size += n + size
			} else {
				size = len(text) - pos
			}
		}
		do(pos, pos+size, blank)
		pos += size
	}
}

// commentSize is the length of the comment that text begins with. Comments nest.
func commentSize(text string) int {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(text)
}

// parser is a DuckDB that only parses.
type parser struct {
	db   mapping.Database
	conn mapping.Connection
}

// newParser starts one. It needs external access to parse IMPORT DATABASE, which it
// replaces by the statements that it reads.
func newParser(external bool) (*parser, error) {
	p := &parser{}
	var config mapping.Config
	if mapping.CreateConfig(&config) == mapping.StateError {
		return nil, errors.New("starting duckdb failed")
	}
	defer mapping.DestroyConfig(&config)
	var message string
	if mapping.SetConfig(config, "enable_external_access", strconv.FormatBool(external)) == mapping.StateError ||
		mapping.OpenExt(":memory:", &p.db, config, &message) == mapping.StateError {
		return nil, fmt.Errorf("starting duckdb failed: %s", message)
	}
	if mapping.Connect(p.db, &p.conn) == mapping.StateError {
		mapping.Close(&p.db)
		return nil, errors.New("connecting to duckdb failed")
	}
	return p, nil
}

func (p *parser) close() {
	mapping.Disconnect(&p.conn)
	mapping.Close(&p.db)
}

// count counts statements as DuckDB runs them: a PIVOT is several.
func (p *parser) count(text string) (int, error) {
	var statements mapping.ExtractedStatements
	defer mapping.DestroyExtracted(&statements)
	n := mapping.ExtractStatements(p.conn, text, &statements)
	if n == 0 {
		if message := mapping.ExtractStatementsError(statements); message != "" {
			return 0, errors.New(message)
		}
	}
	return int(n), nil
}

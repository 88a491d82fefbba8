package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// splitLast parts SQL into its last statement and all before it. Where one
// statement ends is DuckDB's own to say: a semicolon is an end if what is before
// it and what is behind it are together as many statements as the whole. The last
// statement begins on the line that it is on in the text, so that errors tell
// the right one; it is empty if there is none.
func splitLast(text string) (before, last string, err error) {
	p, err := newParser()
	if err != nil {
		return "", "", err
	}
	defer p.close()
	all, err := p.count(text)
	if err != nil || all == 0 {
		return "", "", err
	}
	// Semicolons and comments alone behind it are no part of it.
	for {
		end := strings.LastIndexByte(text, ';')
		if end < 0 {
			break
		}
		if n, err := p.count(text[end+1:]); n > 0 || err != nil {
			break
		}
		if n, err := p.count(text[:end]); n != all || err != nil {
			break
		}
		text = text[:end]
	}
	most, start := 0, 0
	for i := range len(text) {
		if text[i] != ';' {
			continue
		}
		n, err := p.count(text[:i])
		if err != nil || n <= most {
			continue // within quotes or a comment, or no statement since
		}
		if rest, err := p.count(text[i+1:]); err == nil && rest > 0 && n+rest == all {
			most, start = n, i+1
		}
	}
	if start == 0 {
		return "", text, nil
	}
	return text[:start], strings.Repeat("\n", strings.Count(text[:start], "\n")) + text[start:], nil
}

// parser is a DuckDB that only parses.
type parser struct {
	db   mapping.Database
	conn mapping.Connection
}

func newParser() (*parser, error) {
	p := &parser{}
	if mapping.Open(":memory:", &p.db) == mapping.StateError {
		return nil, errors.New("starting duckdb failed")
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
			return 0, fmt.Errorf("%s", message)
		}
	}
	return int(n), nil
}

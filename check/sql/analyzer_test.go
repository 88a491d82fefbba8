// Package sql tests the SQL for BigQuery with GoogleSQL, Google's own analyzer of that
// language, configured to accept what BigQuery accepts, and executes it with GoogleSQL's
// reference implementation (execute_test.go).
//
// Only BigQuery can check that the files of an external table exist and have the declared
// columns, that it can turn a correlated subquery into a join (it runs no others), and
// that its quotas and the user's permissions suffice.
//
// Some of what BigQuery accepts is refused here: statements that do not set up a warehouse
// (DROP, TEMP, DML, DECLARE, BEGIN), WITH CONNECTION DEFAULT, parameters of ANY TYPE, pipe
// syntax, and t as the implicit alias of a table written as `p.d.t`.
package sql

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"

	gs "github.com/goccy/go-googlesql"
)

// Statement is an analysed statement of a script.
type Statement struct {
	Kind      string   // its first words, such as CREATE EXTERNAL TABLE, or SELECT
	Name      string   // of what it creates, alters or drops, as a dotted path; "" for a SELECT
	Arguments []Column // the parameters of a function or table function
	Columns   []Column // of what it creates (partition columns last) or returns
	Query     string   // the query in it, or the expression of a function; "" if there is none
	SQL       string   // its text, without the semicolon
	Line      int      // of the script, where its text starts, from 1
}

// Column is a column of a table or a parameter of a function. Type is as BigQuery
// writes it: ARRAY<STRUCT<key STRING, `rows` INT64>>.
type Column struct{ Name, Type string }

// Error is an error in a statement.
type Error struct {
	Line, Column int    // of the script, from 1; the column counts characters
	Statement    string // the statement's first words
	Message      string // in the analyzer's words
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Statement, e.Message)
}

// Analyze analyses each statement of a script of BigQuery SQL. A statement sees what
// earlier statements create and nothing else; there is no default dataset. As in BigQuery,
// names of datasets, tables and functions are case-sensitive, those of columns and of
// built-in functions are not.
//
// The error joins one *Error for each statement that BigQuery would refuse, and Analyze
// returns the other statements. A view over a table whose statement was refused is refused
// as well. Analyze may be called from several goroutines; the calls run one at a time.
func Analyze(script string) ([]Statement, error) {
	engine.Lock()
	defer engine.Unlock()
	a, err := newAnalyzer(script)
	if err != nil {
		return nil, fmt.Errorf("starting the GoogleSQL analyzer: %w", err)
	}
	defer runtime.KeepAlive(a) // the types belong to its factory, which a finalizer frees
	var (
		analysed []Statement
		errs     []error
	)
	for _, s := range split(script) {
		statement, err := a.analyze(s)
		if err != nil {
			errs = append(errs, a.located(s, err))
			continue
		}
		analysed = append(analysed, *statement)
	}
	return analysed, errors.Join(errs...)
}

// engine guards GoogleSQL, of which a process has only one.
var engine sync.Mutex

type analyzer struct {
	script   string
	language *gs.LanguageOptions
	options  *gs.AnalyzerOptions
	types    *gs.TypeFactory
	created  *catalog
}

func newAnalyzer(script string) (*analyzer, error) {
	if err := gs.Init(); err != nil {
		return nil, err
	}
	language, err := language()
	if err != nil {
		return nil, err
	}
	options, err := gs.NewAnalyzerOptions(language)
	if err != nil {
		return nil, err
	}
	if err := options.SetParseLocationRecordType(gs.ParseLocationRecordTypeParseLocationRecordCodeSearch); err != nil {
		return nil, err
	}
	types, err := gs.NewTypeFactory()
	if err != nil {
		return nil, err
	}
	return &analyzer{script: script, language: language, options: options, types: types, created: newCatalog()}, nil
}

// analyze analyses one statement and adds what it creates to the catalog.
func (a *analyzer) analyze(s span) (*Statement, error) {
	needed, err := a.predeclare(s)
	if err != nil {
		return nil, err
	}
	visible, err := a.created.analyzers(a.language, a.types, needed)
	if err != nil {
		return nil, err
	}
	resume, err := a.resume(s)
	if err != nil {
		return nil, err
	}
	output, err := gs.AnalyzeNextStatement(resume, a.options, visible, a.types)
	if err != nil {
		return nil, err
	}
	node, err := output.ResolvedStatement()
	if err != nil {
		return nil, err
	}
	kind, err := node.NodeKind()
	if err != nil {
		return nil, err
	}
	statement := &Statement{Kind: statements[kind], SQL: a.script[s.start:s.end]}
	statement.Line, _ = position(a.script, s.start)
	if err := a.checkRules(node); err != nil {
		return nil, err
	}
	if err := a.created.apply(statement, node); err != nil {
		return nil, err
	}
	return statement, nil
}

// resume returns the location at which the analyzer begins. It is in the whole script, so
// that errors have the script's positions, cut at the end of this statement, so that a
// broken statement does not run into the next.
func (a *analyzer) resume(s span) (*gs.ParseResumeLocation, error) {
	resume, err := gs.NewParseResumeLocationFromString(a.script[:s.end])
	if err != nil {
		return nil, err
	}
	return resume, resume.SetBytePosition(int32(s.start))
}

// predeclare returns what the analyzer needs to know before a statement and BigQuery does
// not, by name: the table that LOAD DATA creates, and the connection for reading files.
func (a *analyzer) predeclare(s span) (map[string]*object, error) {
	resume, err := a.resume(s)
	if err != nil {
		return nil, err
	}
	options, err := a.options.GetParserOptions()
	if err != nil {
		return nil, err
	}
	parsed, err := gs.ParseNextStatement(resume, options)
	if err != nil {
		return nil, err
	}
	node, err := parsed.Statement()
	if err != nil {
		return nil, err
	}
	needed := map[string]*object{}
	if load, ok := node.(*gs.ASTAuxLoadDataStatement); ok {
		name, err := load.Name()
		if err != nil {
			return nil, err
		}
		path, err := name.ToIdentifierVector()
		if err != nil {
			return nil, err
		}
		if into := dotted(path); a.created.tables[into] == nil {
			empty, err := table(into, nil)
			if err != nil {
				return nil, err
			}
			needed[into] = &object{table: empty}
		}
	}
	connected, ok := node.(interface {
		WithConnectionClause() (*gs.ASTWithConnectionClause, error)
	})
	if !ok {
		return needed, nil
	}
	with, err := connected.WithConnectionClause()
	if err != nil || with == nil {
		return needed, err
	}
	clause, err := with.ConnectionClause()
	if err != nil {
		return nil, err
	}
	named, err := clause.ConnectionPath()
	if err != nil {
		return nil, err
	}
	if named, ok := named.(*gs.ASTPathExpression); ok { // else it is DEFAULT
		path, err := named.ToIdentifierVector()
		if err != nil {
			return nil, err
		}
		connection, err := gs.NewSimpleConnection(dotted(path))
		if err != nil {
			return nil, err
		}
		needed[dotted(path)] = &object{connection: connection}
	}
	return needed, nil
}

// at matches the place in the script that ends a message of the analyzer.
var at = regexp.MustCompile(` \[at (\d+):(\d+)\]$`)

// located adds to an error its statement and its place in the script: the start of the
// statement if the error has none.
func (a *analyzer) located(s span, err error) error {
	located := &Error{Statement: firstWords(a.script[s.start:s.end]), Message: err.Error()}
	located.Line, located.Column = position(a.script, s.start)
	if p := new(placed); errors.As(err, &p) && p.offset >= 0 {
		located.Line, located.Column = position(a.script, p.offset)
	}
	if m := at.FindStringSubmatch(located.Message); m != nil {
		located.Line, _ = strconv.Atoi(m[1])
		located.Column, _ = strconv.Atoi(m[2])
		located.Message = strings.TrimSuffix(located.Message, m[0])
	}
	return located
}

// firstWords returns enough of a statement to recognise it.
func firstWords(sql string) string {
	const limit = 8
	words := strings.Fields(sql)
	if len(words) > limit {
		return strings.Join(words[:limit], " ") + " ..."
	}
	return strings.Join(words, " ")
}

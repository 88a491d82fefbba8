// Package check tests the SQL for BigQuery with Google's own analyzer of BigQuery's
// language, GoogleSQL, set to take what BigQuery takes. It is a module of its own, so
// that the analyzer, which takes minutes to compile, stays out of cvexport's.
//
// Only BigQuery can tell whether the files of an external table are there and have the
// columns that the statement declares, whether it finds a join for a correlated subquery
// (it runs no others), and whether its quotas and the user's permissions suffice.
//
// The other way round, a few things are refused that BigQuery takes: statements that no
// warehouse is set up with (DROP, TEMP, DML, DECLARE, BEGIN), WITH CONNECTION DEFAULT,
// parameters of ANY TYPE, pipes, and the last part of a name that is quoted as a whole,
// `p.d.t`, as the alias that it is there.
package check

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

// Statement is one statement of a script, analysed.
type Statement struct {
	Kind      string   // its first words, such as CREATE EXTERNAL TABLE, or SELECT
	Name      string   // what it creates, alters or drops, as a dotted path; "" of a SELECT
	Arguments []Column // the parameters of a function or table function
	Columns   []Column // of what it creates (partition columns last) or returns
	Query     string   // the query, or of a function the expression, that is in it; "" if none is
	SQL       string   // its text, without the semicolon
	Line      int      // of the script, where its text starts, from 1
}

// Column is a column of a table or a parameter of a function. Type is as BigQuery
// writes it: ARRAY<STRUCT<key STRING, `rows` INT64>>.
type Column struct{ Name, Type string }

// Error is what is wrong with a statement.
type Error struct {
	Line, Column int    // of the script, from 1; the column counts characters
	Statement    string // the statement's first words
	Message      string // in the analyzer's words
}

func (e *Error) Error() string {
	return fmt.Sprintf("line %d, column %d: %s: %s", e.Line, e.Column, e.Statement, e.Message)
}

// Analyze analyses each statement of a script of BigQuery SQL. What a statement
// creates, later ones see, and they see nothing else: there is no default dataset and
// nothing is taken to be there already. As in BigQuery, names of datasets, tables and
// functions differ by case, those of columns and of GoogleSQL's own functions do not.
//
// The error joins one *Error for each statement that BigQuery would refuse; the
// statements returned are the others. A view over a table whose statement was refused
// is refused as well. Analyze may be called by several goroutines, one after the other
// is served.
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

// engine is GoogleSQL: one of it runs in a process.
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

// resume is where the analyzer is to begin: in the whole script, so that the positions
// of errors are the script's, up to this statement's end, so that the next is no part of
// it if this one is broken.
func (a *analyzer) resume(s span) (*gs.ParseResumeLocation, error) {
	resume, err := gs.NewParseResumeLocationFromString(a.script[:s.end])
	if err != nil {
		return nil, err
	}
	return resume, resume.SetBytePosition(int32(s.start))
}

// predeclare is what the analyzer looks for and BigQuery need not have, by name: the
// table that LOAD DATA creates, and the connection that files are read by, of which
// nothing is known here.
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

// at is how the analyzer ends a message about a place in the script.
var at = regexp.MustCompile(` \[at (\d+):(\d+)\]$`)

// located says which statement an error is about, and where: at its start if the
// error names no place.
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

// firstWords is enough of a statement to recognise it.
func firstWords(sql string) string {
	const most = 8
	words := strings.Fields(sql)
	if len(words) > most {
		return strings.Join(words[:most], " ") + " ..."
	}
	return strings.Join(words, " ")
}

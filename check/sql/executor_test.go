package sql

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/npm"
)

// evaluator is GoogleSQL's reference implementation, which evaluates a query over rows that
// come with it. It shares no code with DuckDB. It runs in a process of its own, execute.mjs.
type evaluator struct {
	in  *json.Encoder
	out *bufio.Reader
}

// startEvaluator starts the implementation until the test ends. It skips the test where
// npm has no program of it.
func startEvaluator(t *testing.T) *evaluator {
	t.Helper()
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64":
	default:
		t.Skipf("npm has no reference implementation of GoogleSQL for %s/%s: BigQuery's SQL is not executed", runtime.GOOS, runtime.GOARCH)
	}
	if _, err := npm.Install(); err != nil {
		t.Fatal(err)
	}
	node := exec.Command("node", "execute.mjs")
	node.Stderr = os.Stderr
	in, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it ends with its input
		if err := errors.Join(in.Close(), node.Wait()); err != nil {
			t.Errorf("execute.mjs: %v", err)
		}
	})
	return &evaluator{json.NewEncoder(in), bufio.NewReader(out)}
}

// relation is a table that a query reads: its columns with types as BigQuery writes them,
// and its rows of nil, int64, float64, string, bool, time.Time, []any for an array and
// map[string]any for a struct.
type relation struct {
	columns []Column
	rows    [][]any
}

// message is one in the JSON form of Protocol Buffers.
type message = map[string]any

// evaluate returns the rows of a query over relations and constants, by name.
func (e *evaluator) evaluate(query string, relations map[string]*relation, constants map[string]constant) ([][]any, error) {
	content, tables, named := message{}, []message{}, []message{}
	for name, r := range relations {
		var columns []message
		for _, c := range r.columns {
			columns = append(columns, message{"name": c.Name, "type": typeMessage(c.Type)})
		}
		rows := []message{}
		for _, row := range r.rows {
			var cells []message
			for i, v := range row {
				cells = append(cells, valueMessage(r.columns[i].Type, v))
			}
			rows = append(rows, message{"cell": cells})
		}
		tables = append(tables, message{"name": name, "serializationId": len(tables) + 1, "column": columns})
		content[name] = message{"tableData": message{"row": rows}}
	}
	for name, c := range constants {
		named = append(named, message{"namePath": []string{name}, "type": typeMessage(c.Type), "value": valueMessage(c.Type, c.value)})
	}
	request := message{"sql": query, "tableContent": content, "simpleCatalog": message{"name": "warehouse", "table": tables, "constant": named}}
	if err := e.in.Encode(request); err != nil {
		return nil, fmt.Errorf("asking execute.mjs: %w", err)
	}
	line, err := e.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("reading execute.mjs's answer: %w", err)
	}
	var answer struct {
		Error   string
		Content struct {
			TableData struct {
				Row []struct{ Cell []message }
			}
		}
	}
	if err := json.Unmarshal(line, &answer); err != nil {
		return nil, fmt.Errorf("reading execute.mjs's answer: %w", err)
	}
	if answer.Error != "" {
		return nil, &evaluationError{answer.Error, query}
	}
	rows := [][]any{}
	for _, row := range answer.Content.TableData.Row {
		var values []any
		for _, cell := range row.Cell {
			v, err := plainValue(cell)
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		rows = append(rows, values)
	}
	return rows, nil
}

// evaluationError is what GoogleSQL says against a query.
type evaluationError struct{ message, query string }

func (e *evaluationError) Error() string { return fmt.Sprintf("%s in: %.300s", e.message, e.query) }

// constant is an argument of a function: what its type is, and its value.
type constant struct {
	Column
	value any
}

func typeMessage(name string) message {
	kinds := map[string]string{"INT64": "TYPE_INT64", "FLOAT64": "TYPE_DOUBLE", "STRING": "TYPE_STRING", "BOOL": "TYPE_BOOL", "TIMESTAMP": "TYPE_TIMESTAMP"}
	if of, ok := strings.CutPrefix(name, "ARRAY<"); ok {
		return message{"typeKind": "TYPE_ARRAY", "arrayType": message{"elementType": typeMessage(strings.TrimSuffix(of, ">"))}}
	}
	if strings.HasPrefix(name, "STRUCT<") {
		var fields []message
		for _, f := range structFields(name) {
			fields = append(fields, message{"fieldName": f.Name, "fieldType": typeMessage(f.Type)})
		}
		return message{"typeKind": "TYPE_STRUCT", "structType": message{"field": fields}}
	}
	if kinds[name] == "" {
		panic("no rows of type " + name)
	}
	return message{"typeKind": kinds[name]}
}

// structFields returns the fields of a STRUCT whose fields have no types of several parts.
func structFields(name string) (fields []Column) {
	for field := range strings.SplitSeq(strings.TrimSuffix(strings.TrimPrefix(name, "STRUCT<"), ">"), ", ") {
		name, of, _ := strings.Cut(field, " ")
		fields = append(fields, Column{strings.Trim(name, "`"), of})
	}
	return fields
}

func valueMessage(of string, v any) message {
	switch v := v.(type) {
	case nil:
		return message{}
	case int64:
		return message{"int64Value": strconv.FormatInt(v, 10)}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return message{"doubleValue": strings.Replace(fmt.Sprint(v), "Inf", "Infinity", 1)}
		}
		return message{"doubleValue": v}
	case string:
		return message{"stringValue": v}
	case bool:
		return message{"boolValue": v}
	case time.Time:
		return message{"timestampValue": message{"seconds": strconv.FormatInt(v.Unix(), 10), "nanos": v.Nanosecond()}}
	case []any:
		elements := []message{}
		for _, e := range v {
			elements = append(elements, valueMessage(strings.TrimSuffix(strings.TrimPrefix(of, "ARRAY<"), ">"), e))
		}
		return message{"arrayValue": message{"element": elements}}
	case map[string]any:
		fields := []message{}
		for _, f := range structFields(of) {
			fields = append(fields, valueMessage(f.Type, v[f.Name]))
		}
		return message{"structValue": message{"field": fields}}
	}
	panic(fmt.Sprintf("no value of type %T", v))
}

func plainValue(cell message) (any, error) {
	switch kind, _ := cell["value"].(string); kind {
	case "":
		return nil, nil
	case "int64Value":
		return strconv.ParseInt(fmt.Sprint(cell[kind]), 10, 64)
	case "doubleValue":
		if text, ok := cell[kind].(string); ok {
			return strconv.ParseFloat(text, 64)
		}
		return cell[kind], nil
	case "stringValue", "boolValue":
		return cell[kind], nil
	case "timestampValue":
		at := cell[kind].(message)
		seconds, err := strconv.ParseInt(fmt.Sprint(at["seconds"]), 10, 64)
		nanos, _ := at["nanos"].(float64)
		return time.Unix(seconds, int64(nanos)).UTC(), err
	default:
		return nil, fmt.Errorf("a value that is a %s", kind)
	}
}

// executor executes the views and functions of a script for BigQuery, of the dataset
// vision, over rows of its tables. The implementation knows no functions that return tables: an executor evaluates
// each view, and each call of a function, before the query that reads it.
type executor struct {
	evaluator *evaluator
	created   map[string]Statement
	known     map[string]*relation // the tables, and what was evaluated: views and calls
}

// reference matches what a script names.
var reference = regexp.MustCompile("`vision`\\.`(\\w+)`")

func newExecutor(e *evaluator, script []Statement, tables map[string]*relation) *executor {
	x := &executor{e, map[string]Statement{}, map[string]*relation{}}
	for _, s := range script {
		name := strings.TrimPrefix(s.Name, "vision.")
		if rows := tables[name]; rows != nil {
			x.known[name] = &relation{s.Columns, rows.rows}
			continue
		}
		x.created[name] = s
	}
	return x
}

// query returns the rows of a query that names tables, views and functions as a script does.
func (x *executor) query(query string) ([][]any, error) { return x.within(query, nil) }

// within is query in a function with arguments.
func (x *executor) within(query string, arguments map[string]constant) ([][]any, error) {
	var (
		text  strings.Builder
		reads = map[string]*relation{}
		names = map[string]string{} // in reads, by key
	)
	for {
		at := reference.FindStringSubmatchIndex(query)
		if at == nil {
			break
		}
		read := query[at[2]:at[3]]
		text.WriteString(query[:at[0]])
		query = query[at[1]:]
		key, values := read, []any(nil)
		if s := x.created[read]; len(s.Arguments) > 0 {
			given, length := callArguments(query)
			if len(given) != len(s.Arguments) {
				return nil, fmt.Errorf("%s takes %d arguments, not %q", read, len(s.Arguments), given)
			}
			query = query[length:]
			for i, a := range s.Arguments {
				// As BigQuery, which converts an argument to the parameter's type.
				rows, err := x.within(fmt.Sprintf("SELECT CAST(%s AS %s)", given[i], a.Type), arguments)
				if err != nil {
					return nil, err
				}
				values = append(values, rows[0][0])
			}
			key = fmt.Sprintf("%s(%#v)", read, values)
		}
		r, err := x.rows(key, read, values)
		if err != nil {
			return nil, err
		}
		if names[key] == "" {
			names[key] = fmt.Sprintf("%s %d", read, len(names))
			reads[names[key]] = r
		}
		text.WriteString("`" + names[key] + "`")
		if !regexp.MustCompile(`(?i)^\s+AS\b`).MatchString(query) {
			text.WriteString(" AS `" + read + "`") // whose name it has otherwise
		}
	}
	text.WriteString(query)
	return x.evaluator.evaluate(text.String(), reads, arguments)
}

// rows returns a table, or evaluates a view, or a function with these values as arguments.
func (x *executor) rows(key, name string, values []any) (*relation, error) {
	if r := x.known[key]; r != nil {
		return r, nil
	}
	s, ok := x.created[name]
	if !ok {
		return nil, fmt.Errorf("the script creates no %s", name)
	}
	arguments := map[string]constant{}
	for i, a := range s.Arguments {
		arguments[a.Name] = constant{a, values[i]}
	}
	rows, err := x.within(s.Query, arguments)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	x.known[key] = &relation{s.Columns, rows}
	return x.known[key], nil
}

// callArguments returns the arguments of a call, which stand in parentheses where the text
// begins, and the length of them.
func callArguments(text string) (arguments []string, length int) {
	if !strings.HasPrefix(text, "(") {
		return nil, 0
	}
	start, depth := 1, 0
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '\'', '"', '`':
			i += untilQuote(text[i:], 1, string(c))
			continue
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return append(arguments, text[start:i]), i + 1
			}
		case ',':
			if depth == 1 {
				arguments = append(arguments, text[start:i])
				start = i + 1
			}
		}
		i++
	}
	return nil, 0
}

package sql

import (
	"fmt"
	"strings"

	gs "github.com/goccy/go-googlesql"
)

// placed is an error of the rules below, with its place in the script.
type placed struct {
	offset  int // in the script, in bytes; -1 if the place is unknown
	message string
}

func (p *placed) Error() string { return p.message }

// refuse returns the error for a node that BigQuery would refuse.
func refuse(node gs.ResolvedNode, format string, args ...any) error {
	p := &placed{offset: -1, message: fmt.Sprintf(format, args...)}
	place, err := node.GetParseLocationRangeOrNULL()
	if err != nil || place == nil {
		return p
	}
	start, err := place.Start()
	if err != nil {
		return p
	}
	if offset, err := start.GetByteOffset(); err == nil {
		p.offset = int(offset)
	}
	return p
}

// walk calls visit for a node and all nodes below it.
func walk(node gs.ResolvedNode, visit func(gs.ResolvedNode) error) error {
	if err := visit(node); err != nil {
		return err
	}
	children, err := node.GetChildNodes()
	if err != nil {
		return err
	}
	for _, child := range children {
		if err := walk(child, visit); err != nil {
			return err
		}
	}
	return nil
}

// checkRules refuses what GoogleSQL's analyzer accepts and BigQuery does not.
func (a *analyzer) checkRules(statement gs.ResolvedNode) error {
	return walk(statement, func(node gs.ResolvedNode) error {
		switch node := node.(type) {
		case *gs.ResolvedTableScan:
			return a.checkCase(node, a.created.tables)
		case *gs.ResolvedTVFScan:
			return a.checkCase(node, a.created.functions)
		case *gs.ResolvedFunctionCall:
			return a.checkCase(node, a.created.functions)
		case *gs.ResolvedJoinScan:
			return checkJoin(node)
		}
		return nil
	})
}

// checkCase refuses a name in the wrong case, which the analyzer's catalog would find.
func (a *analyzer) checkCase(node gs.ResolvedNode, objects map[string]*object) error {
	place, err := node.GetParseLocationRangeOrNULL()
	if err != nil || place == nil {
		return err
	}
	text, err := place.GetTextFrom(a.script)
	if err != nil {
		return err
	}
	written := strings.Join(strings.Fields(strings.ReplaceAll(text, "`", "")), "")
	if objects[written] != nil {
		return nil
	}
	if name := otherCase(objects, written); name != "" {
		return refuse(node, "%s not found; there is %s", written, name)
	}
	return nil
}

// otherCase returns the name that differs from this one only in case, or "".
func otherCase(objects map[string]*object, name string) string {
	for other := range objects {
		if other != name && strings.EqualFold(other, name) {
			return other
		}
	}
	return ""
}

// checkJoin refuses an outer join whose condition has no equality of an expression of the
// left side with one of the right side, which BigQuery cannot run.
func checkJoin(join *gs.ResolvedJoinScan) error {
	kind, err := join.JoinType()
	if err != nil || kind == gs.ResolvedJoinScanEnums_JoinTypeInner {
		return err
	}
	var sides [2]map[int32]bool
	for i, side := range []func() (gs.ResolvedScanNode, error){join.LeftScan, join.RightScan} {
		scan, err := side()
		if err != nil {
			return err
		}
		if sides[i], err = columnsOfScan(scan); err != nil {
			return err
		}
	}
	condition, err := join.JoinExpr()
	if err != nil {
		return err
	}
	if condition != nil {
		ok, err := hasEquality(condition, sides)
		if err != nil || ok {
			return err
		}
	}
	return refuse(join, "an outer join needs a condition that is an equality of fields from both sides")
}

// columnsOfScan returns the ids of the columns that a scan produces.
func columnsOfScan(scan gs.ResolvedScanNode) (map[int32]bool, error) {
	lister, ok := scan.(interface {
		ColumnList() ([]*gs.ResolvedColumn, error)
	})
	if !ok {
		return nil, fmt.Errorf("a %T has no columns", scan)
	}
	columns, err := lister.ColumnList()
	if err != nil {
		return nil, err
	}
	ids := map[int32]bool{}
	for _, column := range columns {
		id, err := column.ColumnId()
		if err != nil {
			return nil, err
		}
		ids[id] = true
	}
	return ids, nil
}

// hasEquality reports whether a condition is an equality between the sides, or has one in
// an AND.
func hasEquality(condition gs.ResolvedNode, sides [2]map[int32]bool) (bool, error) {
	call, ok := condition.(*gs.ResolvedFunctionCall)
	if !ok {
		return false, nil
	}
	function, err := call.Function()
	if err != nil {
		return false, err
	}
	name, err := function.Name()
	if err != nil {
		return false, err
	}
	arguments, err := call.ArgumentList()
	if err != nil {
		return false, err
	}
	switch {
	case name == "$and":
		for _, argument := range arguments {
			if ok, err := hasEquality(argument, sides); ok || err != nil {
				return ok, err
			}
		}
	case name == "$equal" && len(arguments) == 2:
		var from [2]int // the side that an argument's columns are from, or -1
		for i, argument := range arguments {
			if from[i], err = sideOf(argument, sides); err != nil {
				return false, err
			}
		}
		return from[0] >= 0 && from[1] >= 0 && from[0] != from[1], nil
	}
	return false, nil
}

// sideOf returns the index of the side that all columns of an expression come from, or -1
// if there is none.
func sideOf(expression gs.ResolvedNode, sides [2]map[int32]bool) (int, error) {
	side, mixed := -1, false
	err := walk(expression, func(node gs.ResolvedNode) error {
		reference, ok := node.(*gs.ResolvedColumnRef)
		if !ok {
			return nil
		}
		column, err := reference.Column()
		if err != nil {
			return err
		}
		id, err := column.ColumnId()
		if err != nil {
			return err
		}
		for i := range sides {
			if sides[i][id] {
				mixed = mixed || side >= 0 && side != i
				side = i
			}
		}
		return nil
	})
	if mixed {
		side = -1
	}
	return side, err
}

// Package arrow15 prints the rows of a Parquet file as Apache Arrow for Go 15 reads
// them: a JSON list of rows, each a list of values in the form that the tests of
// package tablefile compare. It is a program of its own, compiled by go test -c,
// because Arrow 15 and 18 cannot be linked into one: both define the same assembly
// symbols.
package arrow15

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/apache/arrow/go/v15/parquet/pqarrow"
)

// TestMain prints the rows of the file that the argument names. There are no tests.
func TestMain(*testing.M) {
	flag.Parse()
	if flag.NArg() == 0 {
		os.Exit(0)
	}
	if err := print(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, "arrow15:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func print(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close() // it was only read
	tbl, err := pqarrow.ReadTable(context.Background(), file, nil, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	defer tbl.Release()
	rows := make([][]string, tbl.NumRows())
	for i := range int(tbl.NumCols()) {
		n := 0
		for _, chunk := range tbl.Column(i).Data().Chunks() {
			for j := range chunk.Len() {
				text, err := exact(chunk, j)
				if err != nil {
					return fmt.Errorf("read %s: column %s: %w", path, tbl.Schema().Field(i).Name, err)
				}
				rows[n] = append(rows[n], text)
				n++
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(rows)
}

// exact returns a text that differs if two values differ in any bit.
func exact(a arrow.Array, i int) (string, error) {
	if a.IsNull(i) {
		return "null", nil
	}
	switch a := a.(type) {
	case *array.String:
		return fmt.Sprintf("string %q", a.Value(i)), nil
	case *array.Float64:
		return fmt.Sprintf("float64 %g %016x", a.Value(i), math.Float64bits(a.Value(i))), nil
	case *array.Int32:
		return fmt.Sprintf("int32 %d", a.Value(i)), nil
	case *array.Int64:
		return fmt.Sprintf("int64 %d", a.Value(i)), nil
	case *array.Timestamp:
		if ts := a.DataType().(*arrow.TimestampType); ts.Unit != arrow.Microsecond || ts.TimeZone != "UTC" {
			return "", fmt.Errorf("its type is %s, want microseconds in UTC", ts)
		}
		return "time " + time.UnixMicro(int64(a.Value(i))).UTC().Format(time.RFC3339Nano), nil
	case *array.List:
		text := "["
		start, end := a.ValueOffsets(i)
		for j := start; j < end; j++ {
			element, err := exact(a.ListValues(), int(j))
			if err != nil {
				return "", err
			}
			text += element + "; "
		}
		return text + "]", nil
	case *array.Struct:
		fields := map[string]string{}
		for k, f := range a.DataType().(*arrow.StructType).Fields() {
			text, err := exact(a.Field(k), i)
			if err != nil {
				return "", err
			}
			fields[f.Name] = text
		}
		return fmt.Sprint(fields), nil // sorted by key
	}
	return "", fmt.Errorf("no value of %s", a.DataType())
}

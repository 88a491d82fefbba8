package mirror

import (
	"context"
	"io"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

var (
	projectA   = schema.ID{1, 1, 15: 1}
	iterationA = schema.ID{2, 1, 15: 1}
	iterationB = schema.ID{2, 2, 15: 1}
	exportA    = schema.ID{3, 1, 15: 1}
	exportB    = schema.ID{3, 2, 15: 1}
)

// publish exports an iteration with so many images.
func publish(t *testing.T, s store.Store, exportID, project, iteration schema.ID, images int) load.Export {
	t.Helper()
	prior, err := load.ReadPrior(context.Background(), s, schema.Evaluation, project, iteration)
	if err != nil {
		t.Fatal(err)
	}
	e, err := load.Publish(context.Background(), s, load.Export{ExportID: exportID, Project: project, Iteration: iteration}, tables(t, exportID, images), prior)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// tables returns the files of an export with so many images, and a row per image in
// each table.
func tables(t *testing.T, exportID schema.ID, images int) []*load.Table {
	t.Helper()
	spools, err := load.NewSpools(t.TempDir(), schema.Evaluation, exportID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := spools.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, table := range schema.Evaluation.Data {
		rec := rows(table, exportID, images)
		defer rec.Release()
		if err := spools.Append(table, rec); err != nil {
			t.Fatal(err)
		}
	}
	finished, err := spools.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return finished
}

func rows(table schema.Table, exportID schema.ID, n int) arrow.RecordBatch {
	b := array.NewRecordBuilder(memory.DefaultAllocator, table.Arrow(exportID))
	defer b.Release()
	for i := range n {
		for c, column := range table.Columns {
			switch field := b.Field(c).(type) {
			case *array.StringBuilder:
				value := schema.ID{9, byte(i), 15: 1}.String()
				if column.Name == "export_id" {
					value = exportID.String()
				}
				field.Append(value)
			case *array.Int32Builder:
				field.Append(0)
			case *array.Float64Builder:
				field.Append(float64(i))
			default:
				field.AppendNull()
			}
		}
	}
	return b.NewRecordBatch()
}

// keysOf returns the keys of an iteration's objects, the exports record last.
func keysOf(project, iteration schema.ID) []string {
	var keys []string
	for _, table := range schema.Evaluation.All() {
		keys = append(keys, table.Path(project, iteration))
	}
	return keys
}

func readAll(ctx context.Context, s store.Store, key string) ([]byte, error) {
	r, err := s.Open(ctx, key)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

package load

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/load/tablefile"
	"github.com/cvexport/cvexport/schema"
)

func ptr[T any](v T) *T { return &v }

// fullExport has a value in every field.
func fullExport() Export {
	return Export{
		ExportID: exportA, Project: projectA, Iteration: iterationA,
		ProjectName: ptr("Werkstücke ✂"), IterationName: ptr("Iteration 7"), DomainID: ptr(nthID('d', 1)),
		ClassificationType: ptr("Multilabel"), TrainingType: ptr("Regular"), Status: "Completed",
		Created:      time.Date(2020, 2, 11, 16, 43, 8, 987910000, time.UTC),
		LastModified: time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
		TrainedAt:    time.Date(2028, 9, 25, 0, 0, 0, 1000, time.UTC), PublishName: ptr(""),
		Precision: ptr(8.79471951e-13), Recall: ptr(float64(math.SmallestNonzeroFloat32)), AveragePrecision: ptr(0.0),
		ProbabilityThreshold: 0.5, OverlapThreshold: 0.3,
		Rows:      map[string]int64{"images": 1, "predictions": math.MaxInt64, "tags": 3, "regions": 4, "tag_performance": 5},
		TagFilter: []string{nthID('t', 1), nthID('t', 2)},
		Objects: []ObjectRecord{
			{Table: "images", Key: schema.Images.Path(projectA, iterationA), Rows: 1, Bytes: 2, CRC32C: math.MaxUint32},
			{Table: "tags", Key: schema.Tags.Path(projectA, iterationA), Rows: 0, Bytes: math.MaxInt64, CRC32C: 0},
		},
		EndpointHost: "westeurope.api.cognitive.microsoft.com", APIVersion: "3.2", SchemaVersion: 1, ExporterVersion: "0.1.0",
		StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC), FinishedAt: time.Date(2026, 1, 2, 3, 5, 0, 0, time.UTC),
	}
}

func TestExportRoundTrip(t *testing.T) {
	tests := map[string]Export{
		"every field": fullExport(),
		"few fields": {ExportID: exportA, StartedAt: time.UnixMicro(0).UTC(), FinishedAt: time.UnixMicro(-1).UTC(),
			Rows: map[string]int64{"images": 0, "predictions": 0, "tags": 0, "regions": 0, "tag_performance": 0}},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			body, err := EncodeRecord(want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeRecord(body)
			if err != nil {
				t.Fatal(err)
			}
			got.Project, got.Iteration = want.Project, want.Iteration // in the path only
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			finer := want
			finer.StartedAt = want.StartedAt.Add(999).In(time.FixedZone("", 3600))
			if again, err := EncodeRecord(finer); err != nil || !bytes.Equal(again, body) {
				t.Errorf("with nanoseconds and another zone: other bytes, %v", err)
			}
		})
	}
}

// TestExportColumns: every column has a field, and every field a column.
func TestExportColumns(t *testing.T) {
	names := func(of reflect.Type) (names []string) {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "-" { // project and iteration are in the path only
				names = append(names, name)
			}
		}
		return names
	}
	columns := func(of []schema.Column) (names []string) {
		for _, c := range of {
			names = append(names, c.Name)
		}
		return names
	}
	isCount := func(c schema.Column) bool { return c.Type == schema.Int64 }
	if counts := slices.DeleteFunc(slices.Clone(schema.Exports.Columns), func(c schema.Column) bool { return !isCount(c) }); len(counts) != len(schema.DataTables()) {
		t.Errorf("the counts of rows are %q", columns(counts))
	}
	if got, want := names(reflect.TypeFor[Export]()), columns(slices.DeleteFunc(slices.Clone(schema.Exports.Columns), isCount)); !slices.Equal(got, want) {
		t.Errorf("the fields are %q, the columns %q", got, want)
	}
	objects := schema.Exports.Columns[schema.Exports.Column("objects")]
	if got, want := names(reflect.TypeFor[ObjectRecord]()), columns(objects.Fields); !slices.Equal(got, want) {
		t.Errorf("the fields of an object are %q, the parts of the column %q", got, want)
	}
}

// TestExportOfAnotherVersion reads records with columns missing, added and in another order.
func TestExportOfAnotherVersion(t *testing.T) {
	table := schema.Exports
	kept := func(name string) schema.Column { return table.Columns[table.Column(name)] }
	objects := kept("objects")
	objects.Fields = append([]schema.Column{{Name: "codec", Type: schema.String}}, objects.Fields[:3]...)
	table.Columns = []schema.Column{
		kept("images"), objects, {Name: "cost", Type: schema.Double}, kept("export_id"),
		{Name: "notes", Type: schema.StringList}, kept("created"),
	}
	created := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	rec := record(memory.DefaultAllocator, table, []row{{
		int64(7), []any{map[string]any{"codec": "zstd", "table": "tags", "key": "k", "rows": int64(3)}}, 1.5, exportB.String(), []any{"x"}, created,
	}})
	defer rec.Release()
	body, err := tablefile.Encode(rec)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(body)
	if err != nil {
		t.Fatal(err)
	}
	want := Export{ExportID: exportB, Rows: map[string]int64{"images": 7}, Created: created, Objects: []ObjectRecord{{Table: "tags", Key: "k", Rows: 3}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestDecodeExportRefuses(t *testing.T) {
	write := func(table schema.Table, rows ...row) []byte {
		t.Helper()
		rec := record(memory.DefaultAllocator, table, rows)
		defer rec.Release()
		body, err := tablefile.Encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	one := func(name string, kind schema.Type) schema.Table {
		return schema.Table{Name: "exports", Columns: []schema.Column{{Name: name, Type: kind}}}
	}
	objects := schema.Exports
	objects.Columns = objects.Columns[objects.Column("objects") : objects.Column("objects")+1]
	good, err := EncodeRecord(fullExport())
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		body []byte
		want string
	}{
		"nothing":         {nil, "its 0 bytes are too few for a Parquet file"},
		"cut short":       {good[:len(good)/2], "it does not end as a Parquet file does"},
		"no row":          {write(schema.Exports), "it has 0 rows, want 1"},
		"two rows":        {write(one("status", schema.String), row{"a"}, row{"b"}), "it has 2 rows, want 1"},
		"wrong type":      {write(one("images", schema.Double), row{1.0}), "column images: its type is float64"},
		"no uuid":         {write(one("export_id", schema.String), row{"x"}), `"x" is not a uuid`},
		"list of numbers": {write(one("tag_filter", schema.Int64), row{int64(1)}), "column tag_filter: its type is int64"},
		"checksum too big": {write(objects, row{[]any{map[string]any{"table": "t", "key": "k", "rows": int64(1), "bytes": int64(1), "crc32c": int64(1) << 32}}}),
			"cannot unmarshal number 4294967296 into Go struct field"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := DecodeRecord(test.body); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	// Whichever byte is changed, it is a record or an error, not a panic.
	const stride = 31 // at every byte it takes too long
	for i := 0; i < len(good); i += stride {
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		_, _ = DecodeRecord(bad)
	}
}

func TestExportRecordGivesMemoryBack(t *testing.T) {
	rec, err := exportRecord(fullExport(), checkedMemory(t))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	if got := rec.Column(schema.Exports.Column("objects")).(*array.List).ListValues().Len(); got != 2 {
		t.Errorf("%d objects, want 2", got)
	}
}

func TestReadExport(t *testing.T) {
	ctx := context.Background()
	s := storetest.NewMemory()
	if _, _, err := ReadExport(ctx, s, projectA, iterationA); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("never exported: %v, want %v", err, fs.ErrNotExist)
	}
	want := fullExport()
	body, err := EncodeRecord(want)
	if err != nil {
		t.Fatal(err)
	}
	key := schema.Exports.Path(projectA, iterationA)
	put, err := s.Put(ctx, key, store.NewBytesSource(body), "")
	if err != nil {
		t.Fatal(err)
	}
	got, obj, err := ReadExport(ctx, s, projectA, iterationA)
	if err != nil || !reflect.DeepEqual(got, want) || obj != put {
		t.Errorf("got %+v, %v, %v\nwant %+v, %v", got, obj, err, want, put)
	}

	// Replaced between the look at it and the read: the second try has both of one version.
	other := want
	other.Status = "Other"
	replacement, err := EncodeRecord(other)
	if err != nil {
		t.Fatal(err)
	}
	s.BeforeOpen = func(string) {
		s.BeforeOpen = nil
		s.Set(key, replacement)
	}
	got, obj, err = ReadExport(ctx, s, projectA, iterationA)
	if err != nil || got.Status != "Other" || obj.Version == put.Version {
		t.Errorf("got %+v, %v, %v, want the record it was replaced with", got, obj, err)
	}

	s.Set(key, []byte("damaged"))
	for _, p := range []string{projectA.String(), iterationA.String(), s.URL(key)} {
		if _, _, err := ReadExport(ctx, s, projectA, iterationA); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), p) {
			t.Errorf("damaged: %v, want %v naming %s", err, ErrDamaged, p)
		}
	}
}

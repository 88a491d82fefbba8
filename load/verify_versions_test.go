package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// TestVerifyOtherVersions: fewer columns in an older export, more columns and
// tables in a newer one are as they should be.
func TestVerifyOtherVersions(t *testing.T) {
	older, newer := schema.Tags, schema.Tags
	older.Columns = older.Columns[:5]
	newer.Columns = append(slices.Clone(newer.Columns), schema.Column{Name: "added", Type: schema.Double, Nullable: true})
	rows := newDataset(exportA, 3)["tags"]
	tests := []struct {
		name    string
		version int32
		table   schema.Table
		row     func(r row) row
		found   bool
	}{
		{"older", schema.Version - 1, older, func(r row) row { return r[:5] }, false},
		{"newer", schema.Version + 1, newer, func(r row) row { return append(slices.Clone(r), nil) }, false},
		{"fewer columns in this version", schema.Version, older, func(r row) row { return r[:5] }, true},
		{"more columns in this version", schema.Version, newer, func(r row) row { return append(slices.Clone(r), nil) }, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := storetest.NewMemory()
			committed(t, s, func(e *Export, bodies map[string][]byte) {
				changed := make([]row, len(rows))
				for i, r := range rows {
					changed[i] = test.row(r)
				}
				bodies["tags"] = parquetFile(t, test.table, exportA, changed)
				e.SchemaVersion = test.version
			})
			var columns []Finding
			for _, f := range verify(t, s).Findings {
				if !strings.Contains(f.Problem, schema.MetaSchemaVersion) { // the files of this version say so
					columns = append(columns, f)
				}
			}
			if found := len(columns) > 0; found != test.found {
				t.Errorf("findings %v", columns)
			}
		})
	}
}

// TestVerifyUncommitted: a first export that is running is reported, and is no finding.
func TestVerifyUncommitted(t *testing.T) {
	s := storetest.NewMemory()
	publish(t, s, exportB, projectB, iterationB, 1)
	publish(t, s, exportA, projectA, iterationA, 1)
	delete(s.Objects, schema.Exports.Path(projectA, iterationA))
	r := verify(t, s)
	want := keysOf(projectA, iterationA)[:5]
	slices.Sort(want)
	if len(r.Findings) != 0 || r.Iterations != 1 || !slices.Equal(r.Uncommitted, want) {
		t.Errorf("%+v, want the uncommitted %q", r, want)
	}
}

func TestVerifyFails(t *testing.T) {
	s := storetest.NewMemory()
	publish(t, s, exportA, projectA, iterationA, 1)
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		s.OpenError = func(key string) error {
			if strings.HasPrefix(key, "tags/") {
				cancel()
			}
			return nil
		}
		_, err := Verify(ctx, s, schema.Evaluation, t.TempDir(), nil)
		wantError(t, err, context.Canceled, projectA.String(), iterationA.String())
	})
	t.Run("the store fails", func(t *testing.T) {
		s.OpenError = func(key string) error {
			if strings.HasPrefix(key, "tags/") {
				return fmt.Errorf("reading %s: %w", key, storetest.ErrBroken)
			}
			return nil
		}
		_, err := Verify(context.Background(), s, schema.Evaluation, t.TempDir(), nil)
		wantError(t, err, storetest.ErrBroken, projectA.String(), iterationA.String(), "table tags")
	})
	t.Run("no folder for the copies", func(t *testing.T) {
		s.OpenError = nil
		dir := filepath.Join(t.TempDir(), "missing")
		_, err := Verify(context.Background(), s, schema.Evaluation, dir, nil)
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want one that names %s", err, dir)
		}
	})
}

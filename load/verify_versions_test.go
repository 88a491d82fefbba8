package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/patience"
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
	s.OpenError = nil
	t.Run("no folder for the copies", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "missing")
		_, err := Verify(context.Background(), s, schema.Evaluation, dir, nil)
		if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want one that names %s", err, dir)
		}
	})
}

// changing is a store that gives another object than the one it has: the first so many
// times that tags is opened, shorter by as many bytes.
type changing struct {
	*storetest.Memory
	times, opened int
}

func (c *changing) Open(ctx context.Context, key string) (io.ReadCloser, error) {
	r, err := c.Memory.Open(ctx, key)
	if err != nil || !strings.HasPrefix(key, "tags/") || c.opened == c.times {
		return r, err
	}
	c.opened++
	body, err := io.ReadAll(r)
	return io.NopCloser(bytes.NewReader(body[:len(body)-c.opened])), err
}

// What could not be read is told apart from what is damaged, and the rest is verified.
func TestVerifyUnread(t *testing.T) {
	inTags := func(err error) func(string) error {
		return func(key string) error {
			if strings.HasPrefix(key, "tags/") && strings.Contains(key, projectA.String()) {
				return fmt.Errorf("reading %s: %w", key, err)
			}
			return nil
		}
	}
	for name, tc := range map[string]struct {
		openError, readError func(string) error
		changing             int
		unread               []string
	}{
		"intact":           {},
		"not opened":       {openError: inTags(storetest.ErrBroken), unread: []string{"could not be read: ", "the connection broke"}},
		"refused":          {openError: inTags(fs.ErrPermission), unread: []string{"could not be read: ", "permission denied"}},
		"broken off":       {readError: inTags(storetest.ErrBroken), unread: []string{"could not be read: ", "the connection broke"}},
		"given up":         {readError: inTags(&patience.Fault{Err: storetest.ErrBroken}), unread: []string{"could not be read: "}},
		"changing once":    {changing: 1},
		"changing twice":   {changing: 2},
		"changing forever": {changing: 99, unread: []string{"could not be read: it arrived different each of 3 times"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &changing{Memory: storetest.NewMemory(), times: tc.changing}
			publish(t, s.Memory, exportA, projectA, iterationA, 2)
			if tc.changing == 0 {
				publish(t, s.Memory, exportB, projectB, iterationB, 2)
			}
			iterations := len(s.Objects) / 6
			s.OpenError, s.ReadError = tc.openError, tc.readError
			r, err := Verify(t.Context(), s, schema.Evaluation, t.TempDir(), nil)
			if err != nil || len(r.Findings) > 0 || r.Iterations != iterations || (len(r.Unread) > 0) != (tc.unread != nil) {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, want := range tc.unread {
				if f := r.Unread[0]; len(r.Unread) != 1 || f.Table != "tags" || !strings.Contains(f.Problem, want) {
					t.Errorf("%+v, want %q", r.Unread, want)
				}
			}
		})
	}
	t.Run("the store is gone", func(t *testing.T) {
		s := storetest.NewMemory()
		for i := range 5 {
			publish(t, s, exportA, schema.ID{byte(i + 1)}, iterationA, 1)
		}
		s.OpenError = func(string) error { return &patience.Fault{Err: storetest.ErrBroken} }
		r, err := Verify(t.Context(), s, schema.Evaluation, t.TempDir(), nil)
		if _, unread := errors.AsType[*UnreadError](err); !unread || !strings.Contains(err.Error(), "the last 3 iterations could not be read, and the other 2 were not tried") || len(r.Unread) != 3 || len(r.Findings) > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

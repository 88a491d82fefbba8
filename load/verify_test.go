package load

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

var (
	projectB   = id("1b1b1b1b-0000-4000-8000-000000000001")
	iterationB = id("2a2a2a2a-0000-4000-8000-000000000002")
)

func verify(t *testing.T, s store.Store) Report {
	t.Helper()
	dir := t.TempDir()
	var told []Finding
	iterations := 0
	report, err := Verify(context.Background(), s, schema.Evaluation, dir, func(_ Export, f []Finding) {
		iterations++
		told = append(told, f...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if iterations != report.Iterations {
		t.Errorf("%d iterations were told, %d counted", iterations, report.Iterations)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if strays := len(report.Findings) - len(told); !slices.Equal(report.Findings[strays:], told) {
		t.Errorf("told %v, reported %v", told, report.Findings)
	}
	return report
}

func TestVerifyFindsNothing(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		if r := verify(t, s); r.Iterations != 0 || r.Objects != 0 || len(r.Findings) != 0 || len(r.Uncommitted) != 0 {
			t.Errorf("an empty warehouse: %+v", r)
		}
		publish(t, s, exportA, projectA, iterationA, 5)
		publish(t, s, exportB, projectA, iterationB, 0)
		publish(t, s, exportA, projectB, iterationA, 2)
		r := verify(t, s)
		const rowsOfImage, rowsOfExport = 73, 2 // its predictions, tag, region, itself; tag_performance, exports
		if want := int64((5+2)*rowsOfImage + 3*rowsOfExport); r.Iterations != 3 || r.Objects != 18 || r.Rows != want || len(r.Findings) != 0 || len(r.Uncommitted) != 0 {
			t.Errorf("%+v, want 3 iterations, 18 objects, %d rows, no findings", r, want)
		}
		var size int64
		for obj, err := range s.List(context.Background(), "") {
			if err != nil {
				t.Fatal(err)
			}
			size += obj.Size
		}
		if r.Bytes != size {
			t.Errorf("%d bytes, want %d", r.Bytes, size)
		}
	})
}

// committed writes objects and an exports record that agrees with their sizes
// and checksums, whatever is in them: what a program with a mistake would write.
func committed(t *testing.T, s *storetest.Memory, change func(e *Export, bodies map[string][]byte)) {
	t.Helper()
	publish(t, s, exportA, projectA, iterationA, 3)
	e, obj, err := ReadExport(context.Background(), s, projectA, iterationA)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string][]byte{}
	for _, o := range e.Objects {
		bodies[o.Table] = s.Objects[o.Key].Body
	}
	change(&e, bodies)
	for i, o := range e.Objects {
		src := store.NewBytesSource(bodies[o.Table])
		e.Objects[i].Bytes, e.Objects[i].CRC32C = src.Size(), src.CRC32C()
		s.Set(o.Key, bodies[o.Table])
	}
	body, err := EncodeRecord(e)
	if err != nil {
		t.Fatal(err)
	}
	s.Set(obj.Key, body)
}

// parquetFile is a Parquet file of rows.
func parquetFile(t *testing.T, table schema.Table, exportID schema.ID, rows []row) []byte {
	t.Helper()
	tbl := finished(t, table, exportID, rows)
	defer tbl.Close()
	return bodyOf(t, tbl)
}

// TestVerifyFinds does each kind of damage to one of two exports.
func TestVerifyFinds(t *testing.T) {
	path := func(table schema.Table) string { return table.Path(projectA, iterationA) }
	flip := func(table schema.Table, at func(size int) int) func(t *testing.T, s *storetest.Memory) {
		return func(t *testing.T, s *storetest.Memory) {
			publish(t, s, exportA, projectA, iterationA, 3)
			body := slices.Clone(s.Objects[path(table)].Body)
			body[at(len(body))] ^= 0x10
			s.Set(path(table), body)
		}
	}
	rewrite := func(table schema.Table, change func(rows []row) []row) func(t *testing.T, s *storetest.Memory) {
		return func(t *testing.T, s *storetest.Memory) {
			committed(t, s, func(_ *Export, bodies map[string][]byte) {
				bodies[table.Name] = parquetFile(t, table, exportA, change(newDataset(exportA, 3)[table.Name]))
			})
		}
	}
	record := func(change func(e *Export)) func(t *testing.T, s *storetest.Memory) {
		return func(t *testing.T, s *storetest.Memory) {
			committed(t, s, func(e *Export, _ map[string][]byte) { change(e) })
		}
	}
	tests := map[string]struct {
		do   func(t *testing.T, s *storetest.Memory)
		want []string // a finding each: its table and a part of what it says
	}{
		"object missing": {
			func(t *testing.T, s *storetest.Memory) {
				publish(t, s, exportA, projectA, iterationA, 3)
				delete(s.Objects, path(schema.Tags))
			},
			[]string{"tags: it is missing"},
		},
		"byte flipped in the data":   {flip(schema.Predictions, func(int) int { return 100 }), []string{"predictions: it is damaged"}},
		"byte flipped in the footer": {flip(schema.Images, func(n int) int { return n - 40 }), []string{"images: it is damaged"}},
		"cut short": {
			func(t *testing.T, s *storetest.Memory) {
				publish(t, s, exportA, projectA, iterationA, 3)
				body := s.Objects[path(schema.Regions)].Body
				s.Set(path(schema.Regions), body[:len(body)/2])
			},
			[]string{"regions: it is damaged"},
		},
		"no Parquet file, though listed so": {
			func(t *testing.T, s *storetest.Memory) {
				committed(t, s, func(_ *Export, bodies map[string][]byte) { bodies["tags"] = []byte("not a Parquet file") })
			},
			[]string{"tags: it cannot be read"},
		},
		"images unreadable, though listed so": { // which images there are is not known then
			func(t *testing.T, s *storetest.Memory) {
				committed(t, s, func(_ *Export, bodies map[string][]byte) {
					body := slices.Clone(bodies["images"])
					clear(body[4:100]) // from the first column on
					bodies["images"] = body
				})
			},
			[]string{"images: it cannot be read"},
		},
		"rows in the record": {
			record(func(e *Export) { e.Objects[1].Rows++; e.Rows["predictions"]++ }),
			[]string{"predictions: it has 210 rows, the exports record says 211"},
		},
		"two row counts": {
			record(func(e *Export) { e.Rows["tags"]++ }),
			[]string{"tags: the exports record says both 4 and 3 rows"},
		},
		"rows missing": {
			rewrite(schema.Regions, func(rows []row) []row { return rows[1:] }),
			[]string{"regions: it has 2 rows, the exports record says 3"},
		},
		"image twice": {
			rewrite(schema.Images, func(rows []row) []row { rows[2][1] = rows[0][1]; return rows }),
			[]string{
				"images: 1 rows repeat a key; the first is row 2: " + nthID('i', 0),
				"predictions: 70 rows name an image that images does not list; the first is row 140: " + nthID('i', 2),
				"tags: 1 rows name an image that images does not list",
				"regions: 1 rows name an image that images does not list",
			},
		},
		"prediction twice": {
			rewrite(schema.Predictions, func(rows []row) []row {
				rows[0][2], rows[69][2], rows[209][2] = int32(1), int32(68), int32(3)
				return rows
			}),
			[]string{"predictions: 3 rows repeat a key; the first is row 1: " + nthID('i', 0) + " 1"},
		},
		"tag of the iteration twice": {
			rewrite(schema.TagPerformance, func(rows []row) []row { return append(rows, rows[0]) }),
			[]string{"tag_performance: it has 2 rows, the exports record says 1", "tag_performance: 1 rows repeat a key"},
		},
		"index out of range": {
			rewrite(schema.Tags, func(rows []row) []row { rows[0][2], rows[1][2] = int32(-1), int32(1<<20); return rows }),
			[]string{"tags: 2 rows have an impossible tag_index; the first is row 0: -1"},
		},
		"foreign image": {
			rewrite(schema.Tags, func(rows []row) []row { rows[1][1] = nthID('x', 9); return rows }),
			[]string{"tags: 1 rows name an image that images does not list; the first is row 1: " + nthID('x', 9)},
		},
		"no image id": {
			rewrite(schema.Images, func(rows []row) []row {
				return append(rows[:2], row{exportA.String(), "x", int32(2), nil, nil, nil, nil, nil})
			}),
			[]string{
				`images: 1 rows have no image_id; the first is row 2: "x"`,
				"predictions: 70 rows name", "tags: 1 rows name", "regions: 1 rows name",
			},
		},
		"rows of another export": {
			rewrite(schema.Regions, func(rows []row) []row { rows[0][0] = exportB.String(); return rows }),
			[]string{"regions: 1 rows are of another export; the first is row 0"},
		},
		"another export's file, listed": {
			func(t *testing.T, s *storetest.Memory) {
				committed(t, s, func(_ *Export, bodies map[string][]byte) {
					bodies["tags"] = parquetFile(t, schema.Tags, exportB, newDataset(exportB, 3)["tags"])
				})
			},
			[]string{`tags: its metadata says cvexport.export_id is "` + exportB.String(), "tags: 3 rows are of another export"},
		},
		"another export's file, of an interrupted replacement": {
			func(t *testing.T, s *storetest.Memory) {
				publish(t, s, exportA, projectA, iterationA, 3)
				s.Set(path(schema.Images), parquetFile(t, schema.Images, exportB, newDataset(exportB, 3)["images"]))
			},
			[]string{"images: it is of export " + exportB.String()},
		},
		"another table's file": {
			func(t *testing.T, s *storetest.Memory) {
				committed(t, s, func(_ *Export, bodies map[string][]byte) { bodies["tags"] = bodies["regions"] })
			},
			[]string{`tags: its metadata says cvexport.table is "regions"`, "tags: its columns are not the table's"},
		},
		"column retyped": {
			func(t *testing.T, s *storetest.Memory) {
				table := schema.Tags
				table.Columns = slices.Clone(table.Columns)
				table.Columns[2].Type = schema.Int64
				rows := newDataset(exportA, 3)["tags"]
				for _, r := range rows {
					r[2] = int64(r[2].(int32))
				}
				committed(t, s, func(_ *Export, bodies map[string][]byte) { bodies["tags"] = parquetFile(t, table, exportA, rows) })
			},
			[]string{"tags: its columns are not the table's"},
		},
		"object not listed": {
			record(func(e *Export) { e.Objects = e.Objects[:4] }),
			[]string{"tag_performance: the exports record does not list it"},
		},
		"later version's table": {
			func(t *testing.T, s *storetest.Memory) {
				later := schema.Table{Name: "later"}
				committed(t, s, func(e *Export, bodies map[string][]byte) {
					e.Objects = append(e.Objects, ObjectRecord{Table: later.Name, Key: path(later)})
					bodies[later.Name] = []byte("what a later version knows")
				})
				s.Set(path(later), []byte("changed"))
			},
			[]string{"later: it is damaged"},
		},
		"object listed twice": {
			record(func(e *Export) { e.Objects = append(e.Objects, e.Objects[0]) }),
			[]string{"images: the exports record lists it twice"},
		},
		"object under another key": {
			func(t *testing.T, s *storetest.Memory) {
				committed(t, s, func(e *Export, _ map[string][]byte) { e.Objects[2].Key = schema.Tags.Path(projectB, iterationA) })
				delete(s.Objects, schema.Tags.Path(projectB, iterationA))
			},
			[]string{"tags: the exports record lists it under a key that is not the table's"},
		},
		"exports record damaged": {
			flip(schema.Exports, func(n int) int { return n - 1 }), []string{"exports: the exports record is damaged"},
		},
		"exports record of another iteration's export": {
			func(t *testing.T, s *storetest.Memory) {
				publish(t, s, exportA, projectA, iterationA, 1)
				s.Set(path(schema.Exports), s.Objects[schema.Exports.Path(projectB, iterationB)].Body)
			},
			[]string{
				"images: the exports record lists it under", "predictions: the exports record lists it under", "tags: the exports record lists it under",
				"regions: the exports record lists it under", "tag_performance: the exports record lists it under",
			},
		},
		"stray file": {
			func(t *testing.T, s *storetest.Memory) {
				s.Set("tags/copy.parquet", nil)
				s.Set("tags/project_id=x/iteration_id=y/data.parquet", nil)
				s.Set("tags/readme.txt", nil)
			},
			[]string{"tags: not an object of an export", "tags: not an object of an export"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory()
			publish(t, s, exportB, projectB, iterationB, 2) // stays whole
			test.do(t, s)
			r := verify(t, s)
			for i, f := range r.Findings {
				text := f.Table + ": " + f.Problem
				if i >= len(test.want) || !strings.HasPrefix(text, test.want[i]) {
					t.Errorf("found %s", text)
				}
				if stray := strings.HasPrefix(f.Problem, "not an object"); !stray && (f.Project != projectA || f.Iteration != iterationA ||
					!strings.Contains(f.String(), projectA.String()) || !strings.Contains(f.String(), iterationA.String())) {
					t.Errorf("the finding %s is of project %s iteration %s", f, f.Project, f.Iteration)
				}
			}
			if len(r.Findings) != len(test.want) {
				t.Errorf("%d findings, want %q", len(r.Findings), test.want)
			}
			if again := verify(t, s); !slices.Equal(again.Findings, r.Findings) {
				t.Errorf("the findings differ the second time: %v, %v", r.Findings, again.Findings)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	var p places
	for _, i := range []int32{0, 63, 64, 65, 127, 128, 1000, 1<<20 - 1} {
		if fresh, fits := p.add(i); !fresh || !fits {
			t.Errorf("%d at first: fresh %v, fits %v", i, fresh, fits)
		}
		if fresh, fits := p.add(i); fresh || !fits {
			t.Errorf("%d again: fresh %v, fits %v", i, fresh, fits)
		}
	}
	for _, i := range []int32{-1, 1 << 20} {
		if _, fits := p.add(i); fits {
			t.Errorf("%d fits", i)
		}
	}
}

package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/load/store/storetest"
	"github.com/cvexport/cvexport/schema"
)

// dataset is the rows of an export, by table, in which everything adds up.
type dataset map[string][]row

// newDataset has so many images, each with predictions, a tag and a region.
func newDataset(exportID schema.ID, images int) dataset {
	d := dataset{}
	export, tag, name := exportID.String(), nthID('t', 0), "Schere ✂"
	created := time.Date(2020, 2, 11, 16, 43, 8, 987910000, time.UTC)
	for i := range images {
		image := nthID('i', i)
		d["images"] = append(d["images"], row{export, image, int32(i), created, nil, int32(480), nil, nil})
		for p := range 70 { // more than a word of bits
			d["predictions"] = append(d["predictions"], row{export, image, int32(p), tag, name, 0.5, nil, nil, nil, nil})
		}
		d["tags"] = append(d["tags"], row{export, image, int32(0), tag, name, created})
		d["regions"] = append(d["regions"], row{export, image, int32(0), nthID('r', i), tag, name, nil, 0.1, 0.2, 0.3, 0.4})
	}
	d["tag_performance"] = []row{{export, tag, name, nil, int32(1), 0.5, nil, 0.5, nil, nil}}
	return d
}

// tables returns the finished files of a dataset. Many tests publish the same
// ones, so they are written once; TestMain closes them.
func tables(t *testing.T, exportID schema.ID, images int) []*Table {
	t.Helper()
	key := fmt.Sprint(exportID, images)
	if finishedTables[key] == nil {
		d := newDataset(exportID, images)
		for _, table := range schema.DataTables() {
			finishedTables[key] = append(finishedTables[key], finished(t, table, exportID, d[table.Name]))
		}
	}
	return slices.Clone(finishedTables[key])
}

var finishedTables = map[string][]*Table{}

// finished writes rows to a file, which is the caller's to close.
func finished(t *testing.T, table schema.Table, exportID schema.ID, rows []row) *Table {
	t.Helper()
	s, err := newSpool(os.TempDir(), table, exportID, 100)
	if err != nil {
		t.Fatal(err)
	}
	rec := record(memory.DefaultAllocator, table, rows)
	defer rec.Release()
	if err := s.append(rec); err != nil {
		t.Fatal(err)
	}
	tbl, err := s.finish()
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func newExport(exportID, project, iteration schema.ID) Export {
	return Export{ExportID: exportID, Project: project, Iteration: iteration, Status: "Completed", StartedAt: time.UnixMicro(1).UTC(), APIVersion: "3.2"}
}

// publish exports a dataset into the store.
func publish(t *testing.T, s store.Store, exportID, project, iteration schema.ID, images int) Export {
	t.Helper()
	prior, err := ReadPrior(context.Background(), s, schema.Evaluation, project, iteration)
	if err != nil {
		t.Fatal(err)
	}
	e, err := Publish(context.Background(), s, newExport(exportID, project, iteration), tables(t, exportID, images), prior)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func keysOf(project, iteration schema.ID) []string {
	var keys []string
	for _, table := range schema.Tables() {
		keys = append(keys, table.Path(project, iteration))
	}
	return keys
}

// stores are what publishing and verifying are tested on.
func stores(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, storetest.NewMemory()) })
	t.Run("folder", func(t *testing.T) {
		s, err := local.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, s)
	})
}

func TestPublish(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		ctx := context.Background()
		before, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
		if err != nil || before.Export() != nil {
			t.Errorf("nothing was exported: export %v, error %v", before.Export(), err)
		}
		for n, exportID := range []schema.ID{exportA, exportB} { // an export and its replacement
			start := time.Now().Add(-time.Second)
			files := tables(t, exportID, 3+n)
			slices.Reverse(files) // the order given is not the order of publishing
			prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Publish(ctx, s, newExport(exportID, projectA, iterationA), files, prior)
			if err != nil {
				t.Fatal(err)
			}
			images := int64(3 + n)
			if got, want := e.Rows, map[string]int64{"images": images, "predictions": 70 * images, "tags": images, "regions": images, "tag_performance": 1}; !maps.Equal(got, want) {
				t.Errorf("rows %v, want %v", got, want)
			}
			if e.FinishedAt.Before(start) || e.FinishedAt.After(time.Now()) || e.SchemaVersion != schema.Version {
				t.Errorf("finished at %v, schema version %d", e.FinishedAt, e.SchemaVersion)
			}
			for i, o := range e.Objects {
				table := schema.DataTables()[i]
				obj, err := s.Stat(ctx, o.Key)
				if err == nil {
					obj, err = store.Sum(ctx, s, obj)
				}
				if err != nil || o.Table != table.Name || o.Key != table.Path(projectA, iterationA) || o.Bytes != obj.Size || o.CRC32C != obj.CRC32C {
					t.Errorf("object %d is %+v, in the store %+v, %v", i, o, obj, err)
				}
			}
			after, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
			if err != nil || !whole(t, s) {
				t.Errorf("it is not whole: %v", err)
			}
			if got := after.Export(); !reflect.DeepEqual(*got, e) {
				t.Errorf("the record is %+v\nwant %+v", *got, e)
			}
		}
		if m, ok := s.(*storetest.Memory); ok {
			want := slices.Repeat(keysOf(projectA, iterationA), 2)
			if !slices.Equal(m.Puts, want) {
				t.Errorf("put %q\nwant %q", m.Puts, want)
			}
		}
	})
}

// TestPublishConflict: whichever object another export wrote meanwhile, and
// whether there was one before, nothing is written over.
func TestPublishConflict(t *testing.T) {
	for _, existing := range []bool{false, true} {
		for _, table := range schema.Tables() {
			t.Run(fmt.Sprintf("%s/existing=%v", table.Name, existing), func(t *testing.T) {
				ctx := context.Background()
				s := storetest.NewMemory()
				if existing {
					publish(t, s, exportA, projectA, iterationA, 1)
				}
				prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
				if err != nil {
					t.Fatal(err)
				}
				s.Set(table.Path(projectA, iterationA), []byte("another export's"))
				before := s.Contents()
				_, err = Publish(ctx, s, newExport(exportB, projectA, iterationA), tables(t, exportB, 2), prior)
				wantError(t, err, store.ErrConflict, projectA.String(), iterationA.String(), "table "+table.Name)
				if !maps.Equal(s.Contents(), before) {
					t.Error("something was written before the conflict was found")
				}
			})
		}
	}
}

// TestPublishLateConflict: an object is written between the check and its put.
// The images are whose came first, and nothing is written over a commit; anything else
// is then written over.
func TestPublishLateConflict(t *testing.T) {
	for _, table := range schema.Tables() {
		t.Run(table.Name, func(t *testing.T) {
			ctx := context.Background()
			s := storetest.NewMemory()
			publish(t, s, exportA, projectA, iterationA, 1)
			prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
			if err != nil {
				t.Fatal(err)
			}
			s.Puts = nil
			key := table.Path(projectA, iterationA)
			once := sync.OnceFunc(func() { s.Set(key, []byte("another export's")) })
			s.AfterStat = func(k string) {
				if k == schema.Exports.Path(projectA, iterationA) { // the last one looked at
					once()
				}
			}
			_, err = Publish(ctx, s, newExport(exportB, projectA, iterationA), tables(t, exportB, 2), prior)
			if table.Name != schema.Images.Name && table.Name != schema.Exports.Name {
				if err != nil || !whole(t, s) {
					t.Errorf("whole %v, error %v", whole(t, s), err)
				}
				return
			}
			wantError(t, err, store.ErrConflict, projectA.String(), iterationA.String(), "table images")
			if len(s.Puts) != 0 || string(s.Objects[key].Body) != "another export's" {
				t.Errorf("put %q, and the other export's object is %q", s.Puts, s.Objects[key].Body)
			}
		})
	}
}

// TestPublishOvertaken: the images are put again by somebody else while the
// export is under way; it stops before its next put. After the last one it says that
// the commit did not hold.
func TestPublishOvertaken(t *testing.T) {
	for i, table := range append(schema.Tables()[1:], schema.Table{Name: "after the commit"}) {
		t.Run(table.Name, func(t *testing.T) {
			ctx := context.Background()
			s := storetest.NewMemory()
			prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
			if err != nil {
				t.Fatal(err)
			}
			s.AfterPut = func() {
				if len(s.Puts) == i+1 {
					s.Set(schema.Images.Path(projectA, iterationA), []byte("another export's"))
				}
			}
			_, err = Publish(ctx, s, newExport(exportA, projectA, iterationA), tables(t, exportA, 1), prior)
			wantError(t, err, store.ErrConflict, projectA.String(), iterationA.String(), "so this one stops")
			if len(s.Puts) != i+1 {
				t.Errorf("put %q after it was overtaken", s.Puts)
			}
		})
	}
}

// TestPublishBreaksOff stops before the n-th put, for every n, by an error and
// by an interrupt: what is there is whole and not committed, and publishing
// again makes it right.
func TestPublishBreaksOff(t *testing.T) {
	for _, existing := range []bool{false, true} {
		for n, table := range schema.Tables() {
			for _, interrupt := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/existing=%v/interrupt=%v", table.Name, existing, interrupt), func(t *testing.T) {
					ctx, cancel := context.WithCancel(context.Background())
					defer cancel()
					s := storetest.NewMemory()
					if existing {
						publish(t, s, exportA, projectA, iterationA, 1)
					}
					before := s.Contents()
					prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
					if err != nil {
						t.Fatal(err)
					}
					s.Puts = nil
					want := storetest.ErrBroken
					s.BeforePut = func(string) error {
						if len(s.Puts) < n {
							return nil
						}
						return storetest.ErrBroken
					}
					if interrupt {
						want = context.Canceled
						s.BeforePut = nil
						s.AfterPut = func() {
							if len(s.Puts) == n {
								cancel()
							}
						}
						if n == 0 {
							s.AfterStat = func(key string) {
								if key == schema.Exports.Path(projectA, iterationA) { // the last one looked at
									cancel()
								}
							}
						}
					}
					e := newExport(exportB, projectA, iterationA)
					files := tables(t, exportB, 2)
					_, err = Publish(ctx, s, e, files, prior)
					wantError(t, err, want, projectA.String(), iterationA.String(), "table "+table.Name)
					if want := keysOf(projectA, iterationA)[:n]; !slices.Equal(s.Puts, want) {
						t.Errorf("put %q, want %q", s.Puts, want)
					}
					if n == 0 && !maps.Equal(s.Contents(), before) {
						t.Error("the warehouse is not as it was")
					}

					s.BeforePut, s.AfterPut, s.AfterStat = nil, nil, nil
					prior, err = ReadPrior(context.Background(), s, schema.Evaluation, projectA, iterationA)
					if err != nil {
						t.Fatal(err)
					}
					if got, want := whole(t, s), existing && n == 0; got != want {
						t.Errorf("committed: %v, want %v", got, want)
					}
					if _, err := Publish(context.Background(), s, e, files, prior); err != nil {
						t.Fatal(err)
					}
					if !whole(t, s) {
						t.Error("not whole after publishing again")
					}
				})
			}
		}
	}
}

func TestPublishInterruptedBefore(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := storetest.NewMemory()
	prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = Publish(ctx, s, newExport(exportA, projectA, iterationA), tables(t, exportA, 1), prior)
	wantError(t, err, context.Canceled, projectA.String(), iterationA.String())
	if len(s.Objects) != 0 {
		t.Errorf("%d objects were written", len(s.Objects))
	}
}

func TestPublishRefuses(t *testing.T) {
	ctx := context.Background()
	files := tables(t, exportA, 1)
	others := tables(t, exportB, 1)
	s := storetest.NewMemory()
	prior, err := ReadPrior(ctx, s, schema.Evaluation, projectA, iterationA)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere, err := ReadPrior(ctx, s, schema.Evaluation, iterationA, projectA)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		tables []*Table
		prior  Prior
		want   string
	}{
		"a table missing":        {files[:4], prior, "table tag_performance is missing"},
		"a table twice":          {append(files[:4:4], files[0]), prior, "there are two tables images"},
		"another export's table": {append(files[:4:4], others[4]), prior, "table tag_performance is of export " + exportB.String()},
		"a table too many":       {append(files[:5:5], spooled(t, memory.DefaultAllocator, schema.Exports, nil, 10)), prior, "6 tables, want 5"},
		"another prior":          {files, elsewhere, "the prior state is that of project " + iterationA.String()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Publish(ctx, s, newExport(exportA, projectA, iterationA), test.tables, test.prior)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if len(s.Objects) != 0 {
				t.Errorf("%d objects were written", len(s.Objects))
			}
		})
	}
}

// wantError is that err wraps an error and says where it was.
func wantError(t *testing.T, err, want error, says ...string) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %q does not say %q", err, text)
		}
	}
}

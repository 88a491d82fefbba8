package cache_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

func every(string) bool { return true }

// world is a warehouse and its cache.
type world struct {
	cache.Cache
	images int // rows of the table
}

func newWorld(t *testing.T) *world {
	t.Helper()
	const images, iterations = 20, 3
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: images, Iterations: iterations})
	return &world{cache.Cache{Folder: root, File: filepath.Join(t.TempDir(), "folder", "cache.duckdb"), Address: root}, images * iterations}
}

// count asks for the number of images through the cache.
func (w *world) count(ctx context.Context) (n int, _ *cache.Attached, err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	a, err := w.Attach(ctx, db, every, cache.Scope{})
	if err != nil {
		return 0, nil, err
	}
	rows, ok := a.Rows(schema.Images)
	if !ok {
		return 0, nil, errors.New("there is no such table")
	}
	return n, a, db.QueryRowContext(ctx, "SELECT count(*) + 0 * sum(hash(r) % 2) FROM ("+rows+") AS r").Scan(&n)
}

func (w *world) mustCount(t *testing.T, when string) {
	t.Helper()
	if n, _, err := w.count(t.Context()); err != nil || n != w.images {
		t.Errorf("%s: %d images, want %d; %v", when, n, w.images, err)
	}
}

// objects counts the files that a question reads.
func (w *world) objects(t *testing.T, when string) (read int) {
	t.Helper()
	w.Progress = func(p cache.Progress) { read = p.Objects }
	w.mustCount(t, when)
	w.Progress = nil
	return read
}

func (w *world) mustRead(t *testing.T, when string, want int) {
	t.Helper()
	if got := w.objects(t, when); got != want {
		t.Errorf("%s: %d files are read, want %d", when, got, want)
	}
}

// A cache file that is not what it was is replaced, and nothing is read twice otherwise.
func TestDoubtfulFile(t *testing.T) {
	w := newWorld(t)
	const all = 3 * 6
	w.mustRead(t, "at first", all)
	settle(t, w)
	w.mustRead(t, "again", 0)
	good, err := os.ReadFile(w.File)
	if err != nil {
		t.Fatal(err)
	}
	about := func(identity string) func([]byte) []byte {
		return func(body []byte) []byte {
			file := filepath.Join(t.TempDir(), "changed.duckdb")
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("duckdb", file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = db.ExecContext(t.Context(), identity)
			if err := errors.Join(err, db.Close()); err != nil {
				t.Fatal(err)
			}
			changed, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return changed
		}
	}
	const version = 12 // where the file says which DuckDB may read it
	for name, change := range map[string]func([]byte) []byte{
		"truncated":    func(b []byte) []byte { return b[:len(b)/2] },
		"empty":        func([]byte) []byte { return nil },
		"garbage":      func([]byte) []byte { return []byte(strings.Repeat("garbage", 10_000)) },
		"of older":     about("UPDATE about SET identity = 'cvexport cache 0'"),
		"of newer":     func(b []byte) []byte { b[version] = 255; return b },
		"other tables": about("DROP TABLE units"),
		"another's":    about("DROP TABLE about"),
	} {
		if err := os.WriteFile(w.File, change(append([]byte{}, good...)), 0o600); err != nil {
			t.Fatal(err)
		}
		w.mustRead(t, name, all)
		w.mustRead(t, name+", again", 0)
	}
	if info, err := os.Stat(w.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others can read the cache: %v, %v", info, err)
	}
	left, err := os.ReadDir(filepath.Dir(w.File))
	if err != nil || len(left) != 2 { // and the lock
		t.Errorf("left %v, %v", left, err)
	}
	if err := os.Chmod(w.File, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.count(t.Context()); err == nil || !strings.Contains(err.Error(), "others than its owner can write it") {
		t.Errorf("others can write it: %v", err)
	}
}

// settle makes the files old enough for their times to tell them from later ones.
func settle(t *testing.T, w *world) {
	t.Helper()
	for w.objects(t, "settling") > 0 {
	}
}

// A file that takes the place of another is read, even if its size and time are the same,
// and one from the future once.
func TestReplacedFile(t *testing.T) {
	w := newWorld(t)
	settle(t, w)
	files, err := filepath.Glob(filepath.Join(w.Folder, "images", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0]+".new", body, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chtimes(files[0]+".new", info.ModTime(), info.ModTime()), os.Rename(files[0]+".new", files[0])); err != nil {
		t.Fatal(err)
	}
	w.mustRead(t, "with the same size and time", 1)
	w.mustRead(t, "again", 0)
	future := info.ModTime().Add(time.Hour)
	if err := os.Chtimes(files[0], future, future); err != nil {
		t.Fatal(err)
	}
	w.mustRead(t, "from the future", 1)
	w.mustRead(t, "from the future, again", 0)
}

// Any bit of the file may flip: the answer is right, or an error.
func TestFlippedBits(t *testing.T) {
	w := newWorld(t)
	w.mustCount(t, "at first")
	settle(t, w)
	good, err := os.ReadFile(w.File)
	if err != nil {
		t.Fatal(err)
	}
	flips := 40
	if testing.Short() {
		flips = 5
	}
	for range flips {
		body, at := append([]byte{}, good...), rand.IntN(len(good))
		body[at] ^= 1 << rand.IntN(8)
		if err := os.WriteFile(w.File, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, _, err := w.count(t.Context()); n != w.images && !cache.IsDamage(err) {
			t.Errorf("byte %d: %d images, want %d; %v", at, n, w.images, err)
		}
	}
}

// An interrupted refresh changes nothing, and the next one does it all.
func TestInterruptedRefresh(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.Progress = func(cache.Progress) { cancel() }
	if _, _, err := w.count(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	w.Progress = nil
	if _, err := os.Stat(w.File); err == nil {
		t.Error("half a cache is left")
	}
	w.mustCount(t, "after it")
}

// Several questions at once have the right answer, also while one refreshes.
func TestAtOnce(t *testing.T) {
	w := newWorld(t)
	var wait sync.WaitGroup
	for n := range 4 {
		each := &world{cache.Cache{Folder: w.Folder, File: w.File}, w.images}
		wait.Go(func() { each.mustCount(t, fmt.Sprint("question ", n)) })
	}
	wait.Wait()
}

// While files are replaced, by others of another size, a question sees each as it was or as
// it is.
func TestChangingWarehouse(t *testing.T) {
	w := newWorld(t)
	w.mustCount(t, "at first")
	files, err := filepath.Glob(filepath.Join(w.Folder, "images", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string][][]byte{}
	for _, column := range []string{"image_id AS image_id", "image_uri || image_uri AS image_uri"} {
		exported.Rewrite(t, w.Folder, "images", column)
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			bodies[file] = append(bodies[file], body)
		}
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			file := files[n%len(files)]
			if err := replace(file, bodies[file][n/len(files)%2]); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for n := range 5 {
		w.mustCount(t, fmt.Sprint("question ", n))
	}
	close(stop)
	wait.Wait()
	w.mustCount(t, "at the end")
}

func replace(file string, body []byte) error {
	return errors.Join(os.WriteFile(file+".new", body, 0o600), os.Rename(file+".new", file))
}

// A file that cannot be read is looked at again if it has been replaced meanwhile.
func TestReplacedWhileRead(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob(filepath.Join(w.Folder, "images", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	replaced, last := 0, 0
	w.Progress = func(p cache.Progress) {
		switch { // images are read last
		case replaced == 0:
			err = replace(files[0], body[:len(body)-100])
			replaced++
		case replaced == 1 && p.Objects < last: // it begins again
			err = replace(files[0], body)
			replaced++
		}
		if err != nil {
			t.Error(err)
		}
		last = p.Objects
	}
	n, a, err := w.count(t.Context())
	if err != nil || n != w.images || len(a.Findings) > 0 || replaced != 2 {
		t.Errorf("%d images, want %d, after %d replacements: %+v, %v", n, w.images, replaced, a, err)
	}
}

// A damaged file leaves its iteration out of every table until it is mended.
func TestDamagedFile(t *testing.T) {
	w := newWorld(t)
	w.mustCount(t, "at first")
	files, err := filepath.Glob(filepath.Join(w.Folder, "tags", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], body[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n, a, err := w.count(t.Context())
		if err != nil || n != w.images*2/3 || len(a.Findings) != 1 || a.Findings[0].Table != "tags" {
			t.Fatalf("%d images of %d: %+v, %v", n, w.images, a, err)
		}
	}
	if err := os.WriteFile(files[0], body, 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustCount(t, "mended")
}

// A file of far more rows than an export's is read where it is: copied, it would grow.
func TestDenseFile(t *testing.T) {
	w := newWorld(t)
	files, err := filepath.Glob(filepath.Join(w.Folder, "images", "*", "*", "data.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const rows = 50_000
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf("COPY (SELECT 'export' AS export_id, 'image' AS image_id FROM range(%d)) TO '%s' (FORMAT parquet)", rows, files[0])); err != nil {
		t.Fatal(err)
	}
	w.images = w.images*2/3 + rows
	settle(t, w)
	w.mustCount(t, "read in place")
	if info, err := os.Stat(w.File); err != nil || info.Size() > 10<<20 {
		t.Errorf("the cache has grown: %v, %v", info, err)
	}
}

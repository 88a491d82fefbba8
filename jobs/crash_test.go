//go:build !windows

package jobs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// builtCommand is the command as users have it.
func builtCommand(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cvexport")
	cmd := exec.Command("go", "build", "-o", path, "../cmd/cvexport")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the command: %v: %s", err, out)
	}
	return path
}

// crashes is a warehouse that runs of the built command export to.
type crashes struct {
	*bench
	path   string
	images int           // of each iteration
	whole  time.Duration // an undisturbed run takes
	random *rand.Rand
}

func (c *crashes) night() (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(c.path, "nightly", "--warehouse", c.root, "--rate", "100000")
	cmd.Env = append(os.Environ(), "VISION_TRAINING_ENDPOINT="+c.server.URL, "VISION_TRAINING_KEY=simulated")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	return cmd, &said
}

// work gives a night something to do: a new iteration, or one that has changed.
func (c *crashes) work() {
	if n := len(c.service.Projects()[0].Iterations); n < 12 && c.random.IntN(3) == 0 {
		c.service.Train(0, simulated.Completed)
	} else {
		c.service.Modify(0, c.random.IntN(n))
	}
}

// kill begins a night and kills it at some moment. It may have ended before.
func (c *crashes) kill(t *testing.T) (killed bool) {
	t.Helper()
	cmd, said := c.night()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Duration(c.random.Int64N(int64(c.whole)*5/4)), func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == -1 {
		return true
	}
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	return false
}

// calm runs a night to its end, after which everything is right.
func (c *crashes) calm(t *testing.T) {
	t.Helper()
	cmd, said := c.night()
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	c.whole = time.Since(began)
	iterations := c.service.Projects()[0].Iterations
	if report := c.verify(t); report.Iterations != len(iterations) || len(report.Uncommitted) > 0 {
		t.Errorf("after an undisturbed run: %+v", report)
	}
	r := newReader(t, c.root)
	if err := r.views(); err != nil {
		t.Fatal(err)
	}
	if n, err := r.count("SELECT count(*) FROM export_health"); n != 0 || err != nil {
		t.Errorf("export_health has %d rows, %v", n, err)
	}
	k := c.random.IntN(len(iterations))
	compareRows(t, c.bench, 0, k, 0, c.images)
}

// Nightly runs are killed at any moment, while somebody queries the warehouse all
// the time: no query shows an image twice or half of an iteration, none fails unless
// an object is replaced meanwhile, and the views show an iteration from its commit
// on. After an undisturbed run every row is right and export_health is empty.
func TestKilledWhileOthersRead(t *testing.T) {
	if testing.Short() {
		t.Skip("kills take long")
	}
	kills := 20
	if longForm {
		kills = 400
	}
	if text := os.Getenv("CVEXPORT_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	b := newBench(t, simulated.Config{Seed: 8, Kind: simulated.Detection, Images: 300})
	c := &crashes{bench: b, path: builtCommand(t), images: 300, random: rand.New(rand.NewPCG(5, 6))}

	// The reader is there before there is anything to read.
	rounds, watched := watchFromOutside(t, b.root, c.images)

	killed, mixed, uncommitted := 0, 0, 0
	for c.calm(t); killed < kills && !t.Failed(); {
		c.work()
		before := rounds()
		if c.kill(t) {
			killed++
		}
		waitFor(t, "the reader to query", func() bool { return rounds() > before || t.Failed() })
		report, err := load.Verify(t.Context(), b.store, schema.Evaluation, t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Findings) > 0 {
			mixed++
		}
		if len(report.Uncommitted) > 0 {
			uncommitted++
		}
		if killed%10 == 9 {
			c.calm(t)
		}
	}
	c.calm(t)
	queries := watched()
	for k := range b.service.Projects()[0].Iterations {
		compareRows(t, b, 0, k, 0, c.images)
	}
	t.Logf("FIGURES: %d kills survived, %d of which left a replacement half done and %d a first export, with %d right answers to queries meanwhile",
		killed, mixed, uncommitted, queries)
}

// watchFromOutside queries a warehouse in a process of its own until end is called,
// which returns the number of queries. rounds returns how often it has queried
// everything so far. Commands started by the process that queries would inherit the
// files that DuckDB has open.
func watchFromOutside(t *testing.T, root string, images int) (rounds func() int64, end func() int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestWatchFromOutside$", "-test.v", "-test.timeout", "0")
	cmd.Env = append(os.Environ(), "CVEXPORT_WATCH="+root, "CVEXPORT_WATCH_IMAGES="+strconv.Itoa(images))
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said, complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var done atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			if lines.Text() == roundDone {
				done.Add(1)
			} else {
				fmt.Fprintln(&said, lines.Text())
			}
		}
		done.Add(1) // nobody waits for a reader that has failed
	}()
	stop := sync.OnceValue(func() error {
		err := stdin.Close()
		<-ended
		return errors.Join(err, cmd.Wait())
	})
	t.Cleanup(func() { stop() })
	return done.Load, func() (n int) {
		err := stop()
		if _, text, ok := strings.Cut(said.String(), "QUERIES: "); err != nil || !ok {
			t.Errorf("the reader: %v: %s%s", err, &said, &complaints)
		} else if _, err := fmt.Sscan(text, &n); err != nil {
			t.Error(err)
		}
		return n
	}
}

const roundDone = "ROUND"

// TestWatchFromOutside is the other side of watchFromOutside. It ends with its input.
func TestWatchFromOutside(t *testing.T) {
	root := os.Getenv("CVEXPORT_WATCH")
	if root == "" {
		t.Skip("TestKilledWhileOthersRead runs it")
	}
	images, err := strconv.ParseInt(os.Getenv("CVEXPORT_WATCH_IMAGES"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		defer stop()
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			t.Error(err)
		}
	}()
	w := &watcher{reader: newReader(t, root), images: images, done: func() { fmt.Println(roundDone) }}
	if err := w.watch(ctx); err != nil {
		t.Fatalf("query %d: %v", w.queries, err)
	}
	fmt.Printf("QUERIES: %d\n", w.queries-w.replaced)
}

// First exports disturb no query at all.
func TestFirstExportsWhileOthersRead(t *testing.T) {
	exports := 15
	if testing.Short() {
		exports = 3
	}
	b := newBench(t, simulated.Config{Seed: 8, Kind: simulated.Detection, Images: 300, Iterations: -1})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := &watcher{reader: newReader(t, b.root), images: 300, done: func() {}}
	watching := make(chan error, 1)
	go func() { watching <- w.watch(ctx) }()
	for range exports {
		b.service.Train(0, simulated.Completed)
		night := b.nightly(t, Choice{}, NightlyOptions{})
		if its := night.Projects[0].Iterations; its[len(its)-1].Outcome != Exported {
			t.Errorf("the new iteration is %s", its[len(its)-1].Outcome)
		}
	}
	stop()
	if err := <-watching; err != nil || w.replaced > 0 {
		t.Errorf("%v; %d queries failed because objects were replaced", err, w.replaced)
	}
}

// watcher queries a warehouse over and over.
type watcher struct {
	*reader
	images   int64  // of each iteration
	done     func() // called when everything was queried once more
	queries  int
	replaced int // queries that an object's replacement spoiled
}

// errReplaced is the error of a query that failed, or showed something wrong, while an
// object was replaced. DuckDB opens a file for its footer and again for its rows, which
// may then be those of another file.
var errReplaced = errors.New("an object was replaced meanwhile")

// ask runs a query and checks what it shows.
func (w *watcher) ask(query func() error) error {
	w.queries++
	before := w.files()
	err := query()
	if err != nil {
		after := w.files()
		for path, file := range before {
			if !os.SameFile(file, after[path]) {
				w.replaced++
				return errReplaced
			}
		}
	}
	return err
}

// files are the warehouse's objects.
func (w *watcher) files() map[string]os.FileInfo {
	found := map[string]os.FileInfo{}
	paths, _ := filepath.Glob(filepath.Join(w.root, "*", "project_id=*", "iteration_id=*", "*.parquet")) // the pattern is right
	for _, path := range paths {
		if file, err := os.Stat(path); err == nil {
			found[path] = file
		}
	}
	return found
}

// watch queries until ctx ends. The error is the first thing that was wrong.
func (w *watcher) watch(ctx context.Context) error {
	for ctx.Err() == nil {
		for _, table := range schema.Tables() {
			if !w.has(table) {
				continue
			}
			for _, query := range []func(schema.Table) error{w.table, w.plain} {
				if err := w.ask(func() error { return query(table) }); err != nil && !errors.Is(err, errReplaced) {
					return err
				}
			}
		}
		if err := w.current(); err != nil && !errors.Is(err, errReplaced) {
			return err
		}
		if err := w.ask(func() error { _, err := w.count("SELECT count(*) FROM export_health"); return err }); err != nil && !errors.Is(err, errReplaced) {
			return err
		}
		w.done()
	}
	return nil
}

// table looks for images that are there twice, or in part.
func (w *watcher) table(t schema.Table) error {
	look, _, err := w.look(t)
	if err == nil && (look.Rows != look.Keys || t.Name == schema.Images.Name && look.Rows%w.images != 0) {
		err = fmt.Errorf("table %s has %d rows with %d keys", t.Name, look.Rows, look.Keys)
	}
	return err
}

// plain reads a table as somebody does who says nothing about columns or partitions:
// DuckDB opens the files in another order then.
func (w *watcher) plain(t schema.Table) error {
	n, err := w.count(fmt.Sprintf("SELECT count(h) FROM (SELECT hash(t) AS h FROM '%s/%s/**/*.parquet' t)", w.root, t.Name))
	if err == nil && t.Name == schema.Images.Name && n%w.images != 0 {
		err = fmt.Errorf("table %s has %d rows", t.Name, n)
	}
	return err
}

// current checks that the views show what is committed, and only that.
func (w *watcher) current() error {
	before := w.committed() // ahead of the views: those made before the very first commit have an empty exports
	if err := w.ask(w.views); err != nil {
		return err
	}
	shown := map[string]bool{}
	err := w.ask(func() error {
		clear(shown)
		rows, err := w.db.Query("SELECT iteration_id, count(*), count(DISTINCT image_id) FROM current_images GROUP BY ALL")
		if err != nil {
			return err
		}
		for rows.Next() {
			var iteration string
			var n, distinct int64
			if err := rows.Scan(&iteration, &n, &distinct); err != nil {
				return errors.Join(err, rows.Close())
			}
			if shown[iteration] = true; n != w.images || distinct != w.images {
				return errors.Join(fmt.Errorf("current_images shows %d rows of %d images of iteration %s", n, distinct, iteration), rows.Close())
			}
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	if err != nil {
		return err
	}
	after := w.committed()
	for iteration := range shown {
		if !after[iteration] {
			return fmt.Errorf("current_images shows iteration %s, which is not committed", iteration)
		}
	}
	for iteration := range before {
		if !shown[iteration] {
			return fmt.Errorf("current_images does not show iteration %s, which is committed", iteration)
		}
	}
	return nil
}

// committed are the iterations that have an exports record.
func (r *reader) committed() map[string]bool {
	found := map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(r.root, schema.Exports.Name, "*", "iteration_id=*", "*.parquet")) // the pattern is right
	for _, file := range files {
		found[strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "iteration_id=")] = true
	}
	return found
}

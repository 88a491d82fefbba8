//go:build unix

package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/local"
	"github.com/cvexport/cvexport/schema"
)

// queries measures what questions cost over archives of several sizes, and writes the
// table to a file. DuckDB alone, on native tables of the same rows, is measured in turn.
func queries(ctx context.Context, sizes []int, runs int) (_ string, err error) {
	dir, err := os.MkdirTemp("", "cvexport-bench-*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	q := &questions{dir: dir, self: self, cvreport: filepath.Join(dir, "cvreport"), runs: runs}
	if _, err := run(ctx, []string{"CGO_ENABLED=1"}, "go", "build", "-trimpath", "-tags", "disable_grpc_modules,grpcnotrace", "-o", q.cvreport, "./cmd/cvreport"); err != nil {
		return "", err
	}
	if q.export, err = exportOne(ctx, q.path("one")); err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Least of %d runs (of the lines without a peer: of at most 3): seconds of processor time, user and system, and peak MiB of the whole process.\nThe files are in the system's cache. The first questions begin without a cache of cvreport's; what follows finds the one that the question for everything has left.\nThe peer is DuckDB alone on native tables of the same rows. 20 images an iteration, %d iterations a project.\n%s, %d processors, %s, %s.\n",
		runs, iterationsPerProject, machine(), runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	for _, n := range sizes {
		rows, err := q.measure(ctx, n)
		if err != nil {
			return "", fmt.Errorf("%d iterations: %w", n, err)
		}
		fmt.Fprintf(&b, "\n**%d iterations**\n\n| | s | MiB | DuckDB, native tables: s | MiB | ratio of s |\n| --- | --- | --- | --- | --- | --- |\n%s", n, rows)
	}
	return b.String(), nil
}

type questions struct {
	dir, self, cvreport string
	runs                int
	export              load.Export
}

func (q *questions) path(name string) string { return filepath.Join(q.dir, name) }

// least is the least of what several runs used.
type least struct{ cpu, memory float64 }

func (l *least) add(u usage) { l.cpu, l.memory = min(l.cpu, u.cpu), min(l.memory, u.memory) }

func newLeast() least { return least{math.Inf(1), math.Inf(1)} }

func (q *questions) measure(ctx context.Context, n int) (_ string, err error) {
	a := archive{q.path(fmt.Sprint("archive", n)), q.export, n}
	native := q.path(fmt.Sprint("native", n))
	// A process counts as its own the memory of the one that starts it.
	if _, err := run(ctx, nil, q.self, "archive", q.dir, strconv.Itoa(n)); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(a.root)) }()
	cache := []string{"CVEXPORT_CACHE=" + q.path(fmt.Sprint("cache", n))}
	last := n - 1
	one := fmt.Sprintf("project_id = '%s' AND iteration_id = '%s'", a.project(last), a.iteration(last))
	narrow := []string{"--project", a.project(last).String(), "--iteration", a.iteration(last).String()}
	ask := func(sql string, more ...string) []string {
		return append([]string{"query", "--quiet", "--warehouse", a.root, sql}, more...)
	}
	metrics := "SELECT max(COLUMNS(*)) FROM tag_metrics(0.5, 0.3)"
	ofOne := "SELECT * FROM tag_metrics(0.5, 0.3) WHERE " + one
	var b strings.Builder
	line := func(what string, ours, theirs least) {
		memory := ""
		if !math.IsNaN(ours.memory) {
			memory = fmt.Sprintf("%.0f", ours.memory)
		}
		fmt.Fprintf(&b, "| %s | %.2f | %s |", what, ours.cpu, memory)
		if math.IsInf(theirs.cpu, 1) {
			b.WriteString(" | | |\n")
			return
		}
		fmt.Fprintf(&b, " %.2f | %.0f | %.2f |\n", theirs.cpu, theirs.memory, ours.cpu/theirs.cpu)
	}
	// once runs cvreport a first time, with what before leaves of its cache.
	once := func(what string, before func() error, args ...string) error {
		ours := newLeast()
		for range min(q.runs, 3) {
			if err := before(); err != nil {
				return err
			}
			took, err := run(ctx, cache, q.cvreport, args...)
			if err != nil {
				return err
			}
			ours.add(took)
		}
		line(what, ours, newLeast())
		return nil
	}
	forget := func() error { return os.RemoveAll(q.path(fmt.Sprint("cache", n))) }
	if err := once("the first question: one iteration, narrowed", forget, ask(metrics, narrow...)...); err != nil {
		return "", err
	}
	if err := once("the first question: everything", forget, ask(metrics)...); err != nil {
		return "", err
	}
	if err := once("export_health, which reads all tables", func() error { return nil }, ask("FROM export_health")...); err != nil {
		return "", err
	}
	for _, question := range []struct {
		what, sql string
		flags     []string
	}{
		{"SELECT 1", "SELECT 1", nil},
		{"a count over one project", fmt.Sprintf("SELECT count(*) FROM current_predictions WHERE project_id = '%s'", a.project(last)), nil},
		{"tag_metrics of one iteration, in WHERE", ofOne, nil},
		{"tag_metrics of one iteration, by flags", ofOne, narrow},
		{"tag_metrics of everything", metrics, nil},
	} {
		ours, theirs := newLeast(), newLeast()
		for range q.runs {
			took, err := run(ctx, cache, q.cvreport, ask(question.sql, question.flags...)...)
			if err != nil {
				return "", err
			}
			ours.add(took)
			if took, err = run(ctx, nil, q.self, "native", native, question.sql); err != nil {
				return "", err
			}
			theirs.add(took)
		}
		line(question.what, ours, theirs)
	}
	added := n
	from, err := local.New(q.path("one"))
	if err != nil {
		return "", err
	}
	more := func() error {
		added++
		return a.add(from, added-1)
	}
	if err := once("one iteration more since the last question", more, ask(ofOne)...); err != nil {
		return "", err
	}
	html := []string{"html", "--quiet", "--warehouse", a.root, "--project", a.project(0).String(), "-o", q.path("report.html")}
	if err := once("html of the latest iteration", func() error { return nil }, html...); err != nil {
		return "", err
	}
	page, err := q.serve(ctx, cache, a.root)
	if err != nil {
		return "", err
	}
	line("serve: the overview, each further time", page, newLeast())
	return b.String(), nil
}

// serve returns what a request for the overview uses.
func (q *questions) serve(ctx context.Context, env []string, root string) (_ least, err error) {
	cmd := exec.CommandContext(ctx, q.cvreport, "serve", "--quiet", "--warehouse", root, "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return least{}, err
	}
	if err := cmd.Start(); err != nil {
		return least{}, err
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); err = errors.Join(err, cmd.Wait()) }()
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return least{}, err
	}
	_, address, _ := strings.Cut(first, " at ")
	address, _, _ = strings.Cut(address, " ") // with a token, for which there is a cookie
	jar, err := cookiejar.New(nil)
	if err != nil {
		return least{}, err
	}
	client := &http.Client{Jar: jar}
	best := newLeast()
	for range q.runs + 1 { // the first warms up
		before, err := processCPU(cmd.Process.Pid)
		if err != nil {
			return least{}, err
		}
		response, err := client.Get(address)
		if err != nil {
			return least{}, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
			return least{}, fmt.Errorf("%s: %s: %w", address, response.Status, err)
		}
		after, err := processCPU(cmd.Process.Pid)
		if err != nil {
			return least{}, err
		}
		best.add(usage{cpu: after - before, memory: math.NaN()})
	}
	return best, nil
}

// processCPU returns the seconds that a process has used, according to Linux, to the
// hundredth.
func processCPU(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return float64(user+system) / 100, errors.Join(err1, err2)
}

// makeNative makes a DuckDB file with a native table for each of the archive's tables.
func makeNative(ctx context.Context, a archive, file string) (err error) {
	db, err := sql.Open("duckdb", file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	values := make([]string, a.iterations)
	for n := range values {
		values[n] = fmt.Sprintf("(%d, '%s', '%s')", n, a.project(n), a.iteration(n))
	}
	statements := []string{"CREATE TEMP TABLE made(n INTEGER, project_id VARCHAR, iteration_id VARCHAR)", "INSERT INTO made VALUES " + strings.Join(values, ", ")}
	for _, t := range schema.Tables() {
		one := quote(filepath.Join(filepath.Dir(a.root), "one", filepath.FromSlash(t.Path(a.export.Project, a.export.Iteration))))
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s AS SELECT t.*, project_id, iteration_id FROM made, read_parquet(%s, hive_partitioning = false) AS t ORDER BY n", t.Name, one))
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// prepareArchive makes an archive of the exported iteration in a folder, and its native
// tables.
func prepareArchive(ctx context.Context, dir, iterations string) error {
	n, err := strconv.Atoi(iterations)
	if err != nil {
		return err
	}
	one, err := local.New(filepath.Join(dir, "one"))
	if err != nil {
		return err
	}
	projects, err := load.CommittedProjects(ctx, one, schema.Evaluation)
	if err != nil || len(projects) != 1 {
		return fmt.Errorf("%d projects: %w", len(projects), err)
	}
	all, err := load.ReadProject(ctx, one, schema.Evaluation, projects[0])
	if err != nil || len(all) != 1 {
		return fmt.Errorf("%d iterations: %w", len(all), err)
	}
	a, err := makeArchive(ctx, one.Root(), *all[0].Export, filepath.Join(dir, "archive"+iterations), n)
	if err != nil {
		return err
	}
	return makeNative(ctx, a, filepath.Join(dir, "native"+iterations))
}

// native runs a query on the tables of a DuckDB file, with the views and functions over
// them in memory, as DuckDB forgets a part of them in a file.
func native(ctx context.Context, file, query string) (err error) {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	script := schema.Script{Dialect: schema.DuckDB, Bare: true}
	for _, v := range schema.Views() {
		if len(v.Arguments) > 0 && v.Name != "outcomes" && v.Name != "tag_metrics" {
			script.Without = append(script.Without, v.Name)
		}
	}
	for _, t := range schema.Tables() {
		script.Empty = append(script.Empty, t.Name)
	}
	statements := []string{"ATTACH " + quote(file) + " AS native (READ_ONLY)", script.String()}
	for _, t := range schema.Tables() {
		statements = append(statements, fmt.Sprintf("CREATE OR REPLACE VIEW %s AS FROM native.%[1]s", t.Name))
	}
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

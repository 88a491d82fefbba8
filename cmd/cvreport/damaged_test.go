package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/exported"
	"github.com/cvexport/cvexport/internal/simulated"
	"github.com/cvexport/cvexport/schema"
)

// An iteration with a damaged object is left out with a warning, whichever object and
// damage it is. The others are there.
func TestDamagedIteration(t *testing.T) {
	config := simulated.Config{Kind: simulated.Detection, Images: 20, Iterations: 2}
	root := exported.Warehouse(t, config)
	service, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	p := service.Projects()[0]
	damaged, whole := p.Iterations[1].ID, p.Iterations[0].ID
	const counts = "SELECT (SELECT string_agg(iteration_id) FROM exports), (SELECT count(DISTINCT iteration_id) FROM images), (SELECT count(*) FROM export_health)"
	damages := map[string]func([]byte) []byte{
		"truncated":   func(body []byte) []byte { return body[:len(body)/2] },
		"garbage":     func(body []byte) []byte { return bytes.Repeat([]byte("garbage"), len(body)/7) },
		"empty":       func([]byte) []byte { return nil },
		"not parquet": func([]byte) []byte { return []byte("not parquet\n") },
	}
	for _, table := range schema.Tables() {
		for name, damage := range damages {
			if testing.Short() && table.Name != schema.Exports.Name && name != "garbage" {
				continue
			}
			file := filepath.Join(root, filepath.FromSlash(table.Path(p.ID, damaged)))
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, damage(body), 0o600); err != nil {
				t.Fatal(err)
			}
			out, stderr := mustQuery(t, "--warehouse", root, "--format", "csv", counts)
			if _, row, _ := strings.Cut(out, "\n"); row != whole.String()+",1,0\n" {
				t.Errorf("%s, %s: %s", table.Name, name, out)
			}
			checkWarning := func(stderr string) {
				t.Helper()
				says := fmt.Sprintf("cvreport: warning: project %s iteration %s table %s: it is damaged", p.ID, damaged, table.Name)
				does := fmt.Sprintf("run cvexport export --project %s --iteration %s --force", p.ID, damaged)
				if !strings.HasPrefix(stderr, says) || !strings.Contains(stderr, does) || strings.Count(stderr, "\n") != 1 {
					t.Errorf("%s, %s: %s", table.Name, name, stderr)
				}
			}
			checkWarning(stderr)
			if table.Name == schema.Exports.Name && name == "garbage" {
				var stdout, stderr bytes.Buffer
				code := run([]string{"html", "--warehouse", root, "-o", "-"}, nil, &stdout, &stderr)
				if code != exitDone || !strings.Contains(stdout.String(), whole.String()) || strings.Contains(stdout.String(), damaged.String()) {
					t.Errorf("html: exit code %d, %d bytes", code, stdout.Len())
				}
				checkWarning(stderr.String())
			}
			if err := os.WriteFile(file, body, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if out, stderr := mustQuery(t, "--warehouse", root, "--format", "csv", "SELECT count(*) AS n FROM exports"); out != "n\n2\n" || stderr != "" {
		t.Errorf("mended: %s%s", out, stderr)
	}
}

// TestDamagedCache damages the cache, block by block, until each command has met it: it
// gives what it gave before, or says that the cache is gone, and then gives it.
func TestDamagedCache(t *testing.T) {
	root := exported.Warehouse(t, simulated.Config{Kind: simulated.Detection, Images: 20})
	folder := t.TempDir()
	commands := [][]string{{"query", "--format", "csv", "SELECT sum(hash(p) % 1000) FROM predictions AS p"}, {"coco", "--format", "csv"}, {"html", "-o", filepath.Join(t.TempDir(), "report.html")}}
	ask := func(command []string) (code int, stdout, stderr string) {
		var out, errors bytes.Buffer
		code = run(append([]string{command[0], "--warehouse", root, "--cache", folder}, command[1:]...), strings.NewReader(""), &out, &errors)
		return code, out.String(), errors.String()
	}
	wants := map[string]string{}
	for _, command := range commands { // html reads every table
		code, stdout, stderr := ask(command)
		if code != exitDone {
			t.Fatal(stderr)
		}
		wants[command[0]] = stdout
	}
	files, err := filepath.Glob(filepath.Join(folder, "*", "rows.duckdb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	const block, headers = 256 << 10, 3 * 4096 // of a DuckDB file
	told := map[string]int{}
	for at := headers; at < len(good); at += block {
		for _, command := range commands {
			if told[command[0]] > 0 {
				continue
			}
			body := bytes.Clone(good)
			body[at+100] ^= 1
			if err := os.WriteFile(files[0], body, 0o600); err != nil {
				t.Fatal(err)
			}
			code, stdout, stderr := ask(command)
			if code != exitDone {
				told[command[0]]++
				if !strings.Contains(stderr, "the cache was damaged and has been removed: run it again") {
					t.Errorf("%s, block at %d: exit code %d: %s", command[0], at, code, stderr)
				}
				if _, stdout, stderr = ask(command); stderr != "" {
					t.Errorf("%s, block at %d, run again: %s", command[0], at, stderr)
				}
			}
			if stdout != wants[command[0]] {
				t.Errorf("%s, block at %d: %q, want %q", command[0], at, stdout, wants[command[0]])
			}
		}
		if testing.Short() {
			break
		}
	}
	if !testing.Short() && len(told) != len(commands) {
		t.Errorf("the damage was met by %v of %d commands", told, len(commands))
	}
}

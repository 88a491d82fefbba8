package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/schema"
)

var update = flag.Bool("update", false, "write the golden help texts")

// The help of every command is the text in testdata/help, and has an example.
func TestHelp(t *testing.T) {
	for _, name := range []string{"CVEXPORT_WAREHOUSE", "CVEXPORT_CACHE"} {
		t.Setenv(name, "") // the defaults of flags
	}
	walk(newRoot(), func(cmd *cobra.Command) {
		var out bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if code := run(args, nil, &out, &out); code != exitDone {
			t.Errorf("%v: exit code %d: %s", args, code, &out)
		}
		if !cmd.HasSubCommands() && cmd.Example == "" && !strings.HasPrefix(cmd.CommandPath(), "cvreport completion") {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		golden := filepath.Join("testdata", "help", strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".txt")
		if *update {
			if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("the help of %s has changed (go test ./cmd/cvreport -run Help -update):\n%s", cmd.CommandPath(), &out)
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, below := range cmd.Commands() {
		walk(below, visit)
	}
}

// The help lists every view and function.
func TestHelpLists(t *testing.T) {
	for _, v := range schema.Views() {
		if !strings.Contains(query.Listing()+"\n", "  "+v.Name) || !strings.Contains(query.Listing()+"\n", ": "+v.Doc+"\n") {
			t.Errorf("%s is not listed", v.Name)
		}
	}
}

// The examples run, here on a warehouse without exports.
func TestHelpExamples(t *testing.T) {
	root := newWarehouse(t, "warehouse")
	t.Chdir(t.TempDir())
	ran := 0
	walk(newRoot(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			before, sql, ok := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), `"`), `"`)
			if !ok || !strings.HasPrefix(before, "cvreport query ") {
				continue
			}
			args := append(strings.Fields(before)[2:], sql, "--warehouse", root) // a repeated flag replaces
			_, stderr, code := runQuery(t, args...)
			placeholder := strings.Contains(sql, "'PROJECT'")
			named := strings.Contains(before, "--project shop")
			if placeholder != strings.Contains(stderr, "the warehouse has no export of iteration BEFORE of project PROJECT") ||
				named != strings.Contains(stderr, `no project is named "shop"`) || (placeholder || named) != (code != exitDone) {
				t.Errorf("%s: exit code %d: %s", line, code, stderr)
			}
			ran++
		}
	})
	if ran < 8 {
		t.Errorf("%d examples ran", ran)
	}
}

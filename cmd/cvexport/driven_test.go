package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The scripts use every command, every flag (of at least one of the commands that share
// it), and every exit code.
func TestScriptsDriveEverything(t *testing.T) {
	var lines []string
	for _, pattern := range []string{"testdata/script/*.txtar", "testdata/azure/*.txtar", "../cvreport/testdata/script/*.txtar"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, strings.Split(string(body), "\n")...)
		}
	}
	drives := func(pattern string) bool {
		want := regexp.MustCompile(pattern)
		for _, line := range lines {
			if want.MatchString(line) {
				return true
			}
		}
		return false
	}
	undriven := map[string]string{} // flags, with a command that has it
	driven := map[string]bool{}
	root := newRoot()
	root.InitDefaultCompletionCmd()
	walk(root, func(cmd *cobra.Command) {
		if cmd.HasSubCommands() || cmd.Name() == "help" {
			return
		}
		call := `^(exec|exits \d+|simulate|interrupt \w+ \d+) ` + regexp.QuoteMeta(cmd.CommandPath())
		if !drives(`^(exec|simulate) ` + regexp.QuoteMeta(cmd.CommandPath())) {
			t.Errorf("no script drives %s to a good end", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if drives(call + `( .*)? --` + f.Name + `( |$)`) {
				driven[f.Name] = true
			} else {
				undriven[f.Name] = cmd.CommandPath()
			}
		})
	})
	for flag, command := range undriven {
		if !driven[flag] && flag != "help" && flag != "no-descriptions" { // cobra's own
			t.Errorf("no script drives --%s of %s", flag, command)
		}
	}
	for _, code := range []string{"1", "2", "3", "4"} {
		if !drives("^exits " + code + " cvexport ") {
			t.Errorf("no script ends with exit code %s", code)
		}
	}
	if !drives(`^interrupt \w+ 130 cvexport `) {
		t.Error("no script ends with exit code 130")
	}
}

package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the golden help texts")

// The help of every command is as in testdata/help, and has examples.
func TestHelp(t *testing.T) {
	for _, name := range []string{"CVEXPORT_WAREHOUSE", "CVEXPORT_CONFIG", "VISION_TRAINING_ENDPOINT"} {
		t.Setenv(name, "") // they are the defaults of flags
	}
	walk(newRoot(), func(cmd *cobra.Command) {
		var out bytes.Buffer
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		if code := run(args, &out, &out); code != exitDone {
			t.Errorf("%v: exit code %d: %s", args, code, &out)
		}
		if !cmd.HasSubCommands() && cmd.Example == "" && !strings.HasPrefix(cmd.CommandPath(), "cvexport completion") {
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
			t.Errorf("the help of %s has changed (go test ./cmd/cvexport -run Help -update):\n%s", cmd.CommandPath(), &out)
		}
	})
}

func walk(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, below := range cmd.Commands() {
		walk(below, visit)
	}
}

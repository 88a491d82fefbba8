//go:build !windows

package main

import (
	"os/exec"
	"strings"
	"testing"
)

const builtVersion = "1.2.3-test"

// buildFlags are the linker flags of the Makefile and deploy/Dockerfile.
const buildFlags = "-s -w -X main.version=" + builtVersion

// The command that make builds is stripped and knows its version.
func TestBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it builds the command as it is released")
	}
	output, err := exec.Command("make", "-C", "../..", "--dry-run", "build", "VERSION="+builtVersion).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for _, program := range []string{"cvexport", "cvreport"} {
		want := `-ldflags "` + buildFlags + `" -o bin/` + program
		if !strings.Contains(string(output), want) {
			t.Errorf("make build does not run %s:\n%s", want, output)
		}
	}
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(path, "--version").CombinedOutput(); err != nil || string(out) != "cvexport version "+builtVersion+"\n" {
		t.Errorf("it printed %q, %v", out, err)
	}
}

//go:build !windows

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cvexport/cvexport/internal/simulated"
)

// A folder that the user cannot write to is an error before any page is read, and
// before waiting for a training.
func TestUnwritableWarehouse(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it runs as another user")
	}
	service, err := simulated.New(simulated.Config{Images: 300, Training: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := newHarness(t, service)
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	project := service.Projects()[0]
	training := project.Iterations[len(project.Iterations)-1].ID.String()
	for name, args := range map[string][]string{
		"export":  {"export", "--project", project.ID.String(), "--iteration", project.Iterations[0].ID.String()},
		"dry run": {"export", "--project", project.ID.String(), "--iteration", project.Iterations[0].ID.String(), "--dry-run"},
		"wait":    {"export", "--project", project.ID.String(), "--iteration", training, "--wait"},
		"nightly": {"nightly"},
	} {
		b.args = append(args, "--warehouse", filepath.Join(closed, "a", "b"), "--rate", "100000")
		cmd := b.command()
		if os.Geteuid() == 0 { // permissions do not apply to root
			const nobody = 65534
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			for _, folder := range []string{filepath.Dir(b.path), filepath.Dir(closed), b.tmp} {
				if err := os.Chmod(folder, 0o777); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd.Dir = "/"
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.Contains(string(out), "write to "+closed+": permission denied") {
			t.Errorf("%s: %v, %s", name, err, out)
		}
	}
	if slices.ContainsFunc(service.Requests(), func(r simulated.Request) bool { return r.Page >= 0 }) {
		t.Error("pages were read")
	}
}

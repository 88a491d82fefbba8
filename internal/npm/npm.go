// Package npm installs what tests need from npm.
package npm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Install brings check/node_modules up to date with check/package-lock.json and
// returns the path of check. It fails if node or npm is missing.
func Install() (folder string, err error) {
	return install("check", "ci")
}

// InstallPolars does the same in bench/polars, which has Polars for Linux on x86-64.
func InstallPolars() (folder string, err error) {
	// npm ci refuses the lock: npm does not have all builds for other platforms.
	return install("bench/polars", "install", "--no-save")
}

func install(within string, command ...string) (folder string, err error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("this test needs nodejs and npm (Debian: apt-get install nodejs npm): %w", err)
		}
	}
	// The test may be one of this module, or of the module check.
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/cvexport/cvexport").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the repository: %w", err)
	}
	folder = filepath.Join(strings.TrimSpace(string(root)), within)
	// The tests of several packages run at once: one installs, the others wait.
	lock := flock.New(filepath.Join(folder, ".install.lock"))
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("waiting for another test that runs npm: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	wanted, err := os.Stat(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", err
	}
	// npm writes this file last.
	if have, err := os.Stat(filepath.Join(folder, "node_modules", ".package-lock.json")); err == nil && !have.ModTime().Before(wanted.ModTime()) {
		return folder, nil
	}
	npm := exec.Command("npm", append(command, "--no-audit", "--no-fund", "--ignore-scripts")...)
	npm.Dir = folder
	if output, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("running npm %s in %s: %w\n%s", command[0], folder, err, output)
	}
	return folder, nil
}

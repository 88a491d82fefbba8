// Package check looks at the pages of cvreport in a browser: Debian's Chromium,
// which chromedp drives. It is a module of its own, so that this does not weigh
// on the program's.
package check

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/gofrs/flock"

	"github.com/cvexport/cvexport/internal/analysis/report"
)

const chromium = "/usr/bin/chromium"

var (
	browser  context.Context // Chromium, which all tests share; each has a tab
	cvreport string          // the program
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if err := install(); err != nil {
		return 0, err
	}
	folder, err := os.MkdirTemp("", "cvreport-check-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	cvreport = filepath.Join(folder, "cvreport")
	build := exec.Command("go", "build", "-o", cvreport, "./cmd/cvreport")
	build.Dir = filepath.Join("..", "..", "..")
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building cvreport: %w\n%s", err, output)
	}
	if _, err := os.Stat(chromium); err != nil {
		return 0, fmt.Errorf("a browser is needed: install Debian's package chromium (make report does, as root): %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	defer stopAllocator()
	var stop context.CancelFunc
	browser, stop = chromedp.NewContext(allocator)
	defer stop()
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		return 0, fmt.Errorf("starting chromium: %w", err)
	}
	return m.Run(), nil
}

// install brings node_modules to what package-lock.json says.
func install() (err error) {
	lock := flock.New(".install.lock")
	if err := lock.Lock(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	wanted, err := os.Stat("package-lock.json")
	if err != nil {
		return err
	}
	// npm writes this one last.
	if have, err := os.Stat(filepath.Join("node_modules", ".package-lock.json")); err == nil && !have.ModTime().Before(wanted.ModTime()) {
		return nil
	}
	if output, err := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts").CombinedOutput(); err != nil {
		return fmt.Errorf("installing axe-core with npm ci: %w\n%s", err, output)
	}
	return nil
}

// TestChartist compares the chart library in the page with npm's package.
func TestChartist(t *testing.T) {
	for ours, theirs := range map[string]string{"chartist.umd.js": "dist/index.umd.js", "chartist.LICENSE": "LICENSE-MIT"} {
		have, err := os.ReadFile(filepath.Join("..", "..", "..", "internal", "analysis", "report", "assets", ours))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("node_modules", "chartist", theirs))
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != string(want) {
			t.Errorf("internal/analysis/report/assets/%s is not chartist's %s: make chartist brings it again", ours, theirs)
		}
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	b, err := os.ReadFile("package-lock.json")
	if err == nil {
		err = json.Unmarshal(b, &lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	if version := lock.Packages["node_modules/chartist"].Version; version != report.ChartistVersion {
		t.Errorf("the page says that it has chartist %s, package-lock.json has %s", report.ChartistVersion, version)
	}
}

// Package page tests the pages of cvreport html and cvreport serve in a browser:
// Debian's Chromium, driven by chromedp.
package page

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/cvexport/cvexport/internal/analysis/report"
	"github.com/cvexport/cvexport/internal/npm"
)

const (
	root     = "../.." // of the repository
	chromium = "/usr/bin/chromium"
)

var (
	browser  context.Context // Chromium, shared by all tests; each test has its own tab
	cvreport string          // the program under test
	packages string          // node_modules
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	installed, err := npm.Install()
	if err != nil {
		return 0, fmt.Errorf("installing axe-core: %w", err)
	}
	packages = filepath.Join(installed, "node_modules")
	folder, err := os.MkdirTemp("", "cvreport-check-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := os.Setenv("CVEXPORT_CACHE", filepath.Join(folder, "cache")); err != nil {
		return 0, err
	}
	cvreport = filepath.Join(folder, "cvreport")
	build := exec.Command("go", "build", "-o", cvreport, "./cmd/cvreport")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("building cvreport: %w\n%s", err, output)
	}
	if _, err := os.Stat(chromium); err != nil {
		return 0, fmt.Errorf("a browser is needed: install Debian's package chromium (as root, make report does): %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.WSURLReadTimeout(math.MaxInt64*time.Nanosecond), // a busy machine takes its time to start it
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

// TestChartist compares the chart library embedded in the report with the npm package.
func TestChartist(t *testing.T) {
	for ours, theirs := range map[string]string{"chartist.umd.js": "dist/index.umd.js", "chartist.LICENSE": "LICENSE-MIT"} {
		got, err := os.ReadFile(filepath.Join(root, "internal", "analysis", "report", "assets", ours))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(packages, "chartist", theirs))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("internal/analysis/report/assets/%s differs from chartist's %s: run make chartist", ours, theirs)
		}
	}
	var lock struct {
		Packages map[string]struct{ Version string }
	}
	b, err := os.ReadFile(filepath.Join(packages, ".package-lock.json"))
	if err == nil {
		err = json.Unmarshal(b, &lock)
	}
	if err != nil {
		t.Fatal(err)
	}
	if version := lock.Packages["node_modules/chartist"].Version; version != report.ChartistVersion {
		t.Errorf("the page names chartist %s, but npm installed %s", report.ChartistVersion, version)
	}
}

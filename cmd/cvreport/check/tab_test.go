package check

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab is a tab of the browser, which remembers what it should not have done.
type tab struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	console  []string // everything but plain logs
	requests []string // of anything but data: URLs
}

func newTab(t testing.TB) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	ctx, end := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(end)
	b := &tab{TB: t, ctx: ctx}
	console := chromedp.Console(ctx)
	requests := chromedp.Events(ctx, network.RequestWillBeSent)
	b.do(func(ctx context.Context, target *chromedp.Target) error {
		if _, err := cdp.Call(ctx, target, log.Enable, cdp.Empty{}); err != nil {
			return err
		}
		_, err := cdp.Call(ctx, target, network.Enable, network.EnableParams{})
		return err
	})
	go func() {
		for m, err := range console {
			if err == nil && m.Type != chromedp.ConsoleLog {
				b.mu.Lock()
				b.console = append(b.console, string(m.Type)+": "+m.Text)
				b.mu.Unlock()
			}
		}
	}()
	go func() {
		for r, err := range requests {
			if err == nil && !strings.HasPrefix(r.Request.URL, "data:") {
				b.mu.Lock()
				b.requests = append(b.requests, r.Request.URL)
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *tab) do(f func(context.Context, *chromedp.Target) error) {
	b.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Func(f)); err != nil {
		b.Fatal(err)
	}
}

// open opens a page and waits until it has drawn itself.
func (b *tab) open(url string) {
	b.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Navigate(url)); err != nil {
		b.Fatalf("opening %s: %v", url, err)
	}
	b.wait(`document.documentElement.dataset.ready === "true" || !document.getElementById("data")`)
}

// wait waits until an expression is true.
func (b *tab) wait(expression string) {
	b.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.Fatalf("waiting for %s: %v; the console says %q", expression, err, b.console)
	}
}

// drawn waits until the page shows the figures at a threshold.
func (b *tab) drawn(threshold string) {
	b.Helper()
	b.wait(`document.documentElement.dataset.threshold === ` + quoted(threshold))
}

// follow clicks what leads to another page, and waits for that.
func (b *tab) follow(element string) {
	b.Helper()
	click := chromedp.Evaluate[chromedp.Void](`(` + element + `).click()`)
	if _, err := chromedp.Run(b.ctx, chromedp.WaitEvent(page.LoadEventFired, nil, click)); err != nil {
		b.Fatalf("following %s: %v", element, err)
	}
	b.wait(`document.documentElement.dataset.ready === "true"`)
}

// look sets the window's width and its colours.
func (b *tab) look(width int64, scheme string) {
	b.Helper()
	b.do(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 844, DeviceScaleFactor: 1, Mobile: width < 600})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

// read is the value of an expression.
func read[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text is what a reader sees of an element.
func (b *tab) text(selector string) string {
	b.Helper()
	return read[string](b, `document.querySelector(`+quoted(selector)+`).innerText`)
}

// press gives an element the focus and presses keys.
func (b *tab) press(selector string, keys ...string) {
	b.Helper()
	if selector != "" {
		read[bool](b, `(() => { const e = document.querySelector(`+quoted(selector)+`); e.focus(); return document.activeElement === e })()`)
	}
	for _, key := range keys {
		if err := chromedp.Do(b.ctx, chromedp.KeyEvent(key)); err != nil {
			b.Fatal(err)
		}
	}
}

const (
	left, right, end, enter = kb.ArrowLeft, kb.ArrowRight, kb.End, kb.Enter
)

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// quiet fails the test if the page said something on the console or asked for
// anything but itself.
func (b *tab) quiet(own string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.console) > 0 {
		b.Errorf("the console says %q", b.console)
	}
	for _, url := range b.requests {
		if !strings.HasPrefix(url, own) {
			b.Errorf("the page asked for %s", url)
		}
	}
	if len(b.requests) == 0 {
		b.Error("no request was seen, not even the page's own")
	}
}

// accessible runs axe-core over what is there, also over what is folded away at first,
// which it would not look into.
func (b *tab) accessible() {
	b.Helper()
	opened := read[int](b, `[...document.querySelectorAll("details:not([open])")].map((d, n) => { d.open = true; d.dataset.folded = ""; return n }).length`)
	// The opened ones draw themselves, and are folded again for what comes after.
	if opened > 0 {
		b.wait(`[...document.querySelectorAll("details")].every((d) => d.open)`)
		defer read[int](b, `[...document.querySelectorAll("details[data-folded]")].map((d, n) => { d.open = false; delete d.dataset.folded; return n }).length`)
	}
	axe, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		b.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](string(axe)+";0")); err != nil {
		b.Fatal(err)
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](
		`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
			.map((v) => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.any.concat(n.all, n.none).map((c) => c.message).join("; ")).join(" | ")))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	for _, violation := range found {
		b.Errorf("axe: %s", violation)
	}
}

// htmlReport writes a report with the program, and returns its path.
func htmlReport(t testing.TB, root string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	cmd := exec.Command(cvreport, append([]string{"html", "--warehouse", root, "-o", path}, arguments...)...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cvreport html: %v\n%s", err, output)
	}
	if strings.TrimSpace(string(output)) != path {
		t.Errorf("cvreport html prints %q, not the path %s", output, path)
	}
	return path
}

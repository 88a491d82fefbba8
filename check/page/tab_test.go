package page

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

// tab is a tab of the browser. It records what the page writes to the console and
// what it requests.
type tab struct {
	testing.TB
	ctx context.Context

	mu       sync.Mutex
	changed  *sync.Cond // console, requests or markers has grown
	console  []string   // messages, except plain logs
	markers  int        // plain logs with the text marker
	requests []string   // URLs, except data: URLs
}

// marker is what the tests log themselves, to see that all messages before have arrived.
const marker = "everything before has arrived"

// newTab opens a tab for a test. Its actions have no timeouts, which a busy machine could
// reach. All end just before go test's own timeout, so that the error says which action
// it was.
func newTab(t testing.TB) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	if t, ok := t.(*testing.T); ok {
		if deadline, ok := t.Deadline(); ok {
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
			t.Cleanup(cancel)
		}
	}
	b := &tab{TB: t, ctx: ctx}
	b.changed = sync.NewCond(&b.mu)
	context.AfterFunc(ctx, b.changed.Broadcast)
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
			switch {
			case err != nil:
			case m.Type != chromedp.ConsoleLog:
				b.record(func() { b.console = append(b.console, string(m.Type)+": "+m.Text) })
			case m.Text == marker:
				b.record(func() { b.markers++ })
			}
		}
	}()
	go func() {
		for r, err := range requests {
			if err == nil && !strings.HasPrefix(r.Request.URL, "data:") {
				b.record(func() { b.requests = append(b.requests, r.Request.URL) })
			}
		}
	}()
	return b
}

func (b *tab) record(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	b.changed.Broadcast()
}

func (b *tab) do(f func(context.Context, *chromedp.Target) error) {
	b.Helper()
	if err := chromedp.Do(b.ctx, chromedp.Func(f)); err != nil {
		b.Fatal(err)
	}
}

// open opens a page and waits until it is drawn.
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
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](expression, chromedp.WithPollingTimeout(0))); err != nil {
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

// follow clicks an element that leads to another page, and waits for that page.
func (b *tab) follow(element string) {
	b.Helper()
	click := chromedp.Evaluate[chromedp.Void](`(` + element + `).click()`)
	if _, err := chromedp.Run(b.ctx, chromedp.WaitEvent(page.LoadEventFired, nil, click)); err != nil {
		b.Fatalf("following %s: %v", element, err)
	}
	b.wait(`document.documentElement.dataset.ready === "true"`)
}

// look sets the window's width and its colour scheme.
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

// read returns the value of an expression.
func read[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// text returns the visible text of an element.
func (b *tab) text(selector string) string {
	b.Helper()
	return read[string](b, `document.querySelector(`+quoted(selector)+`).innerText`)
}

// press moves the focus to an element, unless the selector is empty, and presses keys.
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

// quiet fails the test if the page wrote to the console or requested anything but
// what begins with its own URL.
func (b *tab) quiet(own string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.markers
	b.mu.Unlock()
	read[bool](b, "(console.log("+quoted(marker)+"), true)")
	b.mu.Lock()
	for b.ctx.Err() == nil && (b.markers == seen || len(b.requests) == 0) {
		b.changed.Wait()
	}
	if err := b.ctx.Err(); err != nil {
		b.Errorf("waiting for the page's own request and the console: %v", err)
	}
	if len(b.console) > 0 {
		b.Errorf("the console says %q", b.console)
	}
	for _, url := range b.requests {
		if !strings.HasPrefix(url, own) {
			b.Errorf("the page requested %s", url)
		}
	}
}

// accessible runs axe-core over the page with all details open, as it skips what is
// closed, and reports serious and critical violations.
func (b *tab) accessible() {
	b.Helper()
	opened := read[int](b, `[...document.querySelectorAll("details:not([open])")].map((d, n) => { d.open = true; d.dataset.closed = ""; return n }).length`)
	// They draw themselves when opened, and are closed again for the rest of the test.
	if opened > 0 {
		b.wait(`[...document.querySelectorAll("details")].every((d) => d.open)`)
		defer read[int](b, `[...document.querySelectorAll("details[data-closed]")].map((d, n) => { d.open = false; delete d.dataset.closed; return n }).length`)
	}
	for _, violation := range b.axe(`r.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
		.map((v) => v.id + ": " + v.help + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.any.concat(n.all, n.none).map((c) => c.message).join("; ")).join(" | "))`) {
		b.Errorf("axe: %s", violation)
	}
}

// faultless runs axe-core over the page as it is and reports every violation, however
// slight.
func (b *tab) faultless() {
	b.Helper()
	for _, violation := range b.axe(`r.violations.map((v) => v.impact + " " + v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | "))`) {
		b.Errorf("axe: %s", violation)
	}
}

// axe runs axe-core and returns what the expression makes of its result r.
func (b *tab) axe(expression string) []string {
	b.Helper()
	script, err := os.ReadFile(filepath.Join(packages, "axe-core", "axe.min.js"))
	if err != nil {
		b.Fatal(err)
	}
	if err := chromedp.Do(b.ctx, chromedp.Evaluate[chromedp.Void](string(script)+";0")); err != nil {
		b.Fatal(err)
	}
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[[]string](`axe.run(document, {resultTypes: ["violations"]}).then((r) => `+expression+`)`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// htmlReport runs cvreport html and returns the path of the report.
func htmlReport(t testing.TB, root string, arguments ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.html")
	cmd := exec.Command(cvreport, append([]string{"html", "--quiet", "--warehouse", root, "-o", path}, arguments...)...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cvreport html: %v\n%s", err, output)
	}
	if strings.TrimSpace(string(output)) != path {
		t.Errorf("cvreport html prints %q, not the path %s", output, path)
	}
	return path
}

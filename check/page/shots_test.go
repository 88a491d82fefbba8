package page

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var (
	shots = flag.String("shots", "", "folder to write screenshots of a page to")
	shown = flag.String("page", "", "URL of the page, for -shots")
)

// TestShots writes screenshots of a page to a folder:
//
//	go test -run Shots -args -shots FOLDER -page file:///report.html
func TestShots(t *testing.T) {
	if *shots == "" {
		t.Skip("no -shots FOLDER")
	}
	put := func(name string, b []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(filepath.Join(*shots, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	b := newTab(t)
	for _, s := range []struct {
		name   string
		width  int64
		scheme string
	}{{"desktop-light.png", 1280, "light"}, {"desktop-dark.png", 1280, "dark"}, {"phone-light.png", 390, "light"}, {"phone-dark.png", 390, "dark"}} {
		b.look(s.width, s.scheme)
		b.open(*shown)
		png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		put(s.name, png, err)
	}
	b.look(1280, "light")
	b.open(*shown)
	first, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	put("first.png", first, err)
	b.do(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{})
		return err
	})
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF(chromedp.PDFPrintBackground()))
	put("print.pdf", pdf, err)
}

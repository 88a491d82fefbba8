package main

import (
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/cvexport/cvexport/jobs"
)

// progress shows how far an export is: a bar on a terminal, a log line every
// few seconds anywhere else. Both are drawn from the same counts.
type progress struct {
	log    *slog.Logger
	bars   *mpb.Progress // nil where there is no terminal
	bar    *mpb.Bar
	images int
	total  int
	logged time.Time
}

var _ jobs.Progress = (*progress)(nil)

// logEvery keeps a night's log short.
const logEvery = 10 * time.Second

func newProgress(stderr io.Writer, c *common) *progress {
	p := &progress{log: c.logger(stderr), logged: time.Now()}
	if isTerminal(stderr) && !c.quiet && c.logFormat == "text" {
		p.bars = mpb.New(mpb.WithOutput(stderr), mpb.WithAutoRefresh())
		p.log = c.logger(p.bars) // lines go above the bar
	}
	return p
}

// isTerminal reports whether a bar can be drawn; some terminals have no size.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return err == nil && width > 0
}

func (p *progress) Planned(images, pages int) {
	p.total += images
	if p.bars == nil {
		p.log.Info("reading images", "images", images, "pages", pages)
		return
	}
	if p.bar == nil {
		p.bar = p.bars.AddBar(int64(p.total),
			mpb.PrependDecorators(decor.Name("images "), decor.CountersNoUnit("%d / %d")),
			mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)),
			mpb.BarRemoveOnComplete())
		return
	}
	p.bar.SetTotal(int64(p.total), false)
}

func (p *progress) Delivered(images int) {
	p.images += images
	if p.bar != nil {
		p.bar.SetCurrent(int64(p.images))
		return
	}
	if now := time.Now(); now.Sub(p.logged) >= logEvery {
		p.logged = now
		p.log.Info("reading images", "images", p.images, "of", p.total)
	}
}

func (p *progress) Restarted() {
	p.images, p.total = 0, 0
	if p.bar != nil {
		p.bar.SetCurrent(0)
	}
}

func (p *progress) Publishing() { p.log.Info("publishing", "images", p.images) }

// close takes the bar away, whether it is full or not.
func (p *progress) close() {
	if p.bar != nil {
		p.bar.Abort(true)
	}
	if p.bars != nil {
		p.bars.Wait()
	}
}

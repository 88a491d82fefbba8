package main

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/secret"
)

// display shows the progress of exports: bars on a terminal, a log line every few
// seconds elsewhere.
type display struct {
	log     *slog.Logger
	bars    *mpb.Progress // nil where there is no terminal
	several bool          // resources, so bars are labelled with them

	mu   sync.Mutex
	open map[string]*progress // by resource, which exports one iteration at a time
}

const logEvery = 10 * time.Second

func newDisplay(stderr io.Writer, c *common) *display {
	d := &display{log: c.logger(stderr), open: map[string]*progress{}}
	if isTerminal(stderr) && !c.quiet && c.logFormat == "text" {
		d.bars = mpb.New(mpb.WithOutput(program.Raw(stderr)), mpb.WithAutoRefresh())
		d.log = c.logger(program.Outlet(d.bars)) // prints lines above the bars
	}
	slog.SetDefault(d.log) // for what has none of its own, such as a wait for a lock
	return d
}

// isTerminal reports whether bars can be drawn; some terminals have no size.
func isTerminal(w io.Writer) bool {
	f, ok := program.Raw(w).(*os.File)
	if !ok {
		return false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return err == nil && width > 0
}

// export shows a new export of a resource in place of the previous one.
func (d *display) export(name string) jobs.Progress {
	d.mu.Lock()
	defer d.mu.Unlock()
	if before := d.open[name]; before != nil {
		before.end()
	}
	p := &progress{display: d, name: name, log: d.logOf(name), logged: time.Now()}
	d.open[name] = p
	return p
}

// logOf returns the log of a resource.
func (d *display) logOf(name string) *slog.Logger { return d.log.With("resource", name) }

// close removes the bars, complete or not.
func (d *display) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.open {
		p.end()
	}
	clear(d.open)
	if d.bars != nil {
		d.bars.Wait()
	}
}

// progress shows one export.
type progress struct {
	*display
	name   string
	log    *slog.Logger
	bar    *mpb.Bar
	images int
	total  int
	logged time.Time
}

var _ jobs.Progress = (*progress)(nil)

func (p *progress) Begun(project, iteration schema.ID) {
	p.log = p.logOf(p.name).With("project", project, "iteration", iteration)
}

func (p *progress) Planned(images, pages int) {
	p.total += images
	if p.bars == nil {
		p.log.Info("reading images", "images", images, "pages", pages)
		return
	}
	if p.bar == nil {
		label := "images "
		if p.several {
			label = printable.Line(secret.Redact(p.name)) + " "
		}
		p.bar = p.bars.AddBar(int64(p.total),
			mpb.PrependDecorators(decor.Name(label), decor.CountersNoUnit("%d / %d")),
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

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
	}
}

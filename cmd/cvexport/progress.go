package main

import (
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
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

	mu    sync.Mutex
	open  map[string]*progress // by resource, which exports one iteration at a time
	night map[string]*remaining
	all   *mpb.Bar // of all iterations; nil where there is one, or no terminal

	left atomic.Int64 // nanoseconds of the night, for the bar, which must not wait for mu
}

const logEvery = 10 * time.Second

func newDisplay(stderr io.Writer, c *common) *display {
	d := &display{log: c.logger(stderr), open: map[string]*progress{}, night: map[string]*remaining{}}
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

// planned is told what a resource's night is about to export.
func (d *display) planned(name string, work []jobs.Workload) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.night[name] == nil {
		d.night[name] = &remaining{}
	}
	d.night[name].plan(time.Now(), work)
	ended, iterations, _ := d.sum()
	switch {
	case d.bars == nil:
		d.logOf(name).Info("exporting", "iterations", d.night[name].iterations, "projects", len(work))
	case d.all != nil:
		d.all.SetTotal(int64(iterations), false)
	case iterations > 1:
		d.all = d.bars.AddBar(int64(iterations),
			mpb.PrependDecorators(decor.Name("iterations "), decor.CountersNoUnit("%d / %d")),
			mpb.AppendDecorators(decor.Percentage(), decor.Name(" "), decor.Any(func(decor.Statistics) string {
				if left := time.Duration(d.left.Load()); left > 0 {
					return left.Round(time.Second).String()
				}
				return ""
			})),
			mpb.BarPriority(1), mpb.BarRemoveOnComplete()) // below those of images
		d.all.SetCurrent(int64(ended))
	}
}

// ended is told that an export of a night has ended.
func (d *display) ended(name string, project schema.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.open[name]; p != nil {
		p.read = 0
	}
	d.night[name].end(project)
	if ended, _, _ := d.sum(); d.all != nil {
		d.all.SetCurrent(int64(ended))
	}
}

// sum is how many iterations of how many have ended, and how long the others take: as
// long as those of the slowest resource. mu is held.
func (d *display) sum() (ended, iterations int, left time.Duration) {
	for name, night := range d.night {
		images := 0
		if p := d.open[name]; p != nil {
			images = p.read
		}
		ended, iterations = ended+night.ended, iterations+night.iterations
		left = max(left, night.time(time.Now(), images))
	}
	d.left.Store(int64(left))
	return ended, iterations, left
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
	if d.all != nil {
		d.all.Abort(true)
	}
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

	project schema.ID
	read    int // images, of what has not ended; under mu
}

var _ jobs.Progress = (*progress)(nil)

func (p *progress) Begun(project, iteration schema.ID) {
	p.log, p.project = p.logOf(p.name).With("project", project, "iteration", iteration), project
}

func (p *progress) Planned(images, pages int) {
	p.total += images
	p.note()
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
	done := p.note()
	if p.bar != nil {
		p.bar.SetCurrent(int64(p.images))
		return
	}
	if now := time.Now(); now.Sub(p.logged) >= logEvery {
		p.logged = now
		p.log.Info("reading images", append([]any{"images", p.images, "of", p.total}, done...)...)
	}
}

func (p *progress) Restarted() {
	p.images, p.total = 0, 0
	p.note()
	if p.bar != nil {
		p.bar.SetCurrent(0)
	}
}

// note notes how large the iteration is and how much of it is read. It returns how far a
// night of several iterations is, for the log.
func (p *progress) note() []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	night := p.night[p.name]
	if night == nil {
		return nil
	}
	p.read = p.images
	if p.total > 0 {
		night.counted(p.project, p.total)
	}
	ended, iterations, left := p.sum()
	if iterations < 2 {
		return nil
	}
	return []any{"iterations_done", ended, "of_iterations", iterations, "left", left.Round(time.Second)}
}

func (p *progress) Publishing() { p.log.Info("publishing", "images", p.images) }

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Abort(true)
	}
}

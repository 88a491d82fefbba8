package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/secret"
)

// fetchDisplay shows the progress of fetching: on a terminal in one line that it
// overwrites, elsewhere in a line every few seconds. It shows nothing if there is
// nothing to fetch.
type fetchDisplay struct {
	w         io.Writer
	warehouse string
	terminal  bool

	mu    sync.Mutex
	last  time.Time   // when a line was written; zero before the first
	stall *time.Timer // of the message that nothing has arrived
}

const (
	drawInterval = 100 * time.Millisecond // on a terminal
	lineInterval = 10 * time.Second       // elsewhere
	stallDelay   = 5 * time.Second
)

func newFetchDisplay(stderr io.Writer, quiet bool, warehouse string) *fetchDisplay {
	if quiet {
		stderr = io.Discard
	}
	// The display moves the cursor, which an outlet would not let it do.
	d := &fetchDisplay{w: program.Raw(stderr), warehouse: printable.Line(secret.Redact(warehouse)), terminal: isTerminal(stderr)}
	d.stall = time.AfterFunc(stallDelay, d.waiting)
	return d
}

func (d *fetchDisplay) waiting() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last.IsZero() {
		fmt.Fprintf(d.w, "cvreport: waiting for %s; interrupt and give --offline to use what is in the cache\n", d.warehouse)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := program.Raw(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (d *fetchDisplay) show(f mirror.Progress) {
	if f.Bytes <= 0 { // the totals are not known before the first byte arrives
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	interval := lineInterval
	if d.terminal {
		interval = drawInterval
	}
	first, now := d.last.IsZero(), time.Now()
	if now.Sub(d.last) < interval {
		return
	}
	d.last = now
	switch {
	case d.terminal:
		fmt.Fprintf(d.w, "\r\x1b[Kfetching %d of %d objects, %s of %s", f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	case first:
		fmt.Fprintf(d.w, "cvreport: fetching %d objects, %s, of %s\n", f.AllObjects, megabytes(f.AllBytes), d.warehouse)
	default:
		fmt.Fprintf(d.w, "cvreport: fetching %d of %d objects, %s of %s\n", f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	}
}

// done removes the line.
func (d *fetchDisplay) done() {
	d.stall.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.terminal && !d.last.IsZero() {
		fmt.Fprint(d.w, "\r\x1b[K")
	}
}

func megabytes(n int64) string {
	const mega = 1e6
	if n < 10*mega {
		return fmt.Sprintf("%.1f MB", float64(n)/mega)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/mega)
}

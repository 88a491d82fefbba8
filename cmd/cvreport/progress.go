package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
	"github.com/cvexport/cvexport/internal/analysis/query"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/internal/program"
	"github.com/cvexport/cvexport/secret"
)

// display shows how far it is with the objects of a warehouse: on a terminal in one line
// that it overwrites, elsewhere in a line every few seconds. It shows nothing if there is
// nothing to do.
type display struct {
	w         io.Writer
	doing     string // fetching or reading
	warehouse string
	terminal  bool

	mu    sync.Mutex
	shown bool
	last  time.Time   // when a line was written, or when it began to read
	stall *time.Timer // of the message that nothing has arrived
}

const (
	drawInterval = 100 * time.Millisecond // on a terminal
	lineInterval = 10 * time.Second       // elsewhere
	stallDelay   = 5 * time.Second
)

func newDisplay(stderr io.Writer, quiet bool, doing, warehouse string) *display {
	if quiet {
		stderr = io.Discard
	}
	// The display moves the cursor, which an outlet would not let it do.
	d := &display{w: program.Raw(stderr), doing: doing, warehouse: printable.Line(secret.Redact(warehouse)), terminal: isTerminal(stderr)}
	if doing == query.Reading { // most often over before anybody would want to know
		d.last = time.Now()
	} else {
		d.stall = time.AfterFunc(stallDelay, d.waiting)
	}
	return d
}

func (d *display) waiting() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.shown {
		fmt.Fprintf(d.w, "cvreport: waiting for %s; interrupt and give --offline to use what is in the cache\n", d.warehouse)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := program.Raw(w).(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (d *display) show(f mirror.Progress) {
	if f.Bytes <= 0 { // the totals are not known before the first byte arrives
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	interval := lineInterval
	if d.terminal {
		interval = drawInterval
	}
	now := time.Now()
	if now.Sub(d.last) < interval {
		return
	}
	first := d.last.IsZero()
	d.last, d.shown = now, true
	switch {
	case d.terminal:
		fmt.Fprintf(d.w, "\r\x1b[K%s [%s] %d of %d objects, %s of %s", d.doing, bar(f), f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	case first:
		fmt.Fprintf(d.w, "cvreport: %s %d objects, %s, of %s\n", d.doing, f.AllObjects, megabytes(f.AllBytes), d.warehouse)
	default:
		fmt.Fprintf(d.w, "cvreport: %s %d of %d objects, %s of %s\n", d.doing, f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	}
}

// bar draws how much of the bytes is done.
func bar(f mirror.Progress) string {
	const width = 20
	done := 0
	if f.AllBytes > 0 {
		done = int(min(width, width*f.Bytes/f.AllBytes))
	}
	return strings.Repeat("=", done) + strings.Repeat(" ", width-done)
}

// done removes the line.
func (d *display) done() {
	if d.stall != nil {
		d.stall.Stop()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.terminal && d.shown {
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

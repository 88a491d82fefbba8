package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
)

// fetchDisplay tells how far fetching is: in a line that is written over on a
// terminal, in a line every few seconds anywhere else. It says nothing if there
// is nothing to fetch.
type fetchDisplay struct {
	w        io.Writer // nil to be quiet
	of       string
	terminal bool

	mu    sync.Mutex
	last  time.Time   // zero before the first line
	quiet *time.Timer // tells that nothing has come
}

const (
	drawEvery = 100 * time.Millisecond
	tellEvery = 10 * time.Second
	patience  = 5 * time.Second
)

func newFetchDisplay(stderr io.Writer, quiet bool, of string) *fetchDisplay {
	d := &fetchDisplay{w: stderr, of: of, terminal: isTerminal(stderr)}
	if quiet {
		d.w = nil
	}
	d.quiet = time.AfterFunc(patience, d.waiting)
	return d
}

func (d *fetchDisplay) waiting() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.w != nil && d.last.IsZero() {
		fmt.Fprintf(d.w, "cvreport: waiting for %s; interrupt it and give --offline to use what the cache has\n", d.of)
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (d *fetchDisplay) show(f mirror.Progress) {
	if d.w == nil || f.Bytes <= 0 { // all is planned before the first byte is fetched
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	every := tellEvery
	if d.terminal {
		every = drawEvery
	}
	first := d.last.IsZero()
	if now := time.Now(); now.Sub(d.last) >= every {
		d.last = now
	} else {
		return
	}
	switch {
	case d.terminal:
		fmt.Fprintf(d.w, "\r\x1b[Kfetching %d of %d objects, %s of %s", f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	case first:
		fmt.Fprintf(d.w, "cvreport: fetching %d objects, %s, of %s\n", f.AllObjects, megabytes(f.AllBytes), d.of)
	default:
		fmt.Fprintf(d.w, "cvreport: fetching %d of %d objects, %s of %s\n", f.Objects, f.AllObjects, megabytes(f.Bytes), megabytes(f.AllBytes))
	}
}

// done takes the line away.
func (d *fetchDisplay) done() {
	d.quiet.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.w != nil && d.terminal && !d.last.IsZero() {
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

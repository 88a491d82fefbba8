package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
)

func TestFetchDisplay(t *testing.T) {
	steps := []mirror.Progress{
		{AllObjects: 1, AllBytes: 10}, // it is being planned
		{AllObjects: 12, AllBytes: 400e6},
		{Objects: 0, AllObjects: 12, Bytes: 1, AllBytes: 400e6},
		{Objects: 3, AllObjects: 12, Bytes: 120e6, AllBytes: 400e6}, // too soon
	}
	for name, tc := range map[string]struct {
		terminal bool
		want     string
	}{
		"anywhere": {false, "cvreport: fetching 12 objects, 400 MB, of gs://b\n"},
		"terminal": {true, "\r\x1b[Kfetching 0 of 12 objects, 0.0 MB of 400 MB\r\x1b[K"},
	} {
		var out bytes.Buffer
		d := newFetchDisplay(&out, false, "gs://b")
		d.terminal = tc.terminal
		d.waiting()
		if !strings.Contains(out.String(), "waiting for gs://b") {
			t.Errorf("%s: %q", name, &out)
		}
		out.Reset()
		for _, f := range steps {
			d.show(f)
		}
		d.waiting()
		d.done()
		if out.String() != tc.want {
			t.Errorf("%s: %q, want %q", name, &out, tc.want)
		}
		out.Reset()
		quiet := newFetchDisplay(&out, true, "gs://b")
		for _, f := range steps {
			quiet.show(f)
		}
		quiet.waiting()
		quiet.done()
		if out.Len() > 0 {
			t.Errorf("%s: quiet: %q", name, &out)
		}
	}
}

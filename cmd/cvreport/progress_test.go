package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/mirror"
	"github.com/cvexport/cvexport/internal/analysis/query"
)

func TestDisplay(t *testing.T) {
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
		"terminal": {true, "\r\x1b[Kfetching [                    ] 0 of 12 objects, 0.0 MB of 400 MB\r\x1b[K"},
	} {
		var out bytes.Buffer
		d := newDisplay(&out, false, query.Fetching, "gs://b")
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
		quiet := newDisplay(&out, true, query.Fetching, "gs://b")
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

// Reading is shown when it takes long: elsewhere than on a terminal, lines of what is over
// at once would be in the way.
func TestDisplayOfReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			terminal bool
			want     string
		}{
			{false, "cvreport: reading 90 of 100 objects, 9.0 MB of 10 MB\n"},
			{true, "\r\x1b[Kreading [==========          ] 50 of 100 objects, 5.0 MB of 10 MB\r\x1b[Kreading [==================  ] 90 of 100 objects, 9.0 MB of 10 MB\r\x1b[K"},
		} {
			var out bytes.Buffer
			d := newDisplay(&out, false, query.Reading, "gs://b")
			d.terminal = tc.terminal
			for _, n := range []int{10, 50, 90} {
				d.show(mirror.Progress{Objects: n, AllObjects: 100, Bytes: int64(n) * 1e5, AllBytes: 1e7})
				time.Sleep(lineInterval / 2)
			}
			d.done()
			if out.String() != tc.want {
				t.Errorf("%q, want %q", &out, tc.want)
			}
		}
	})
}

package recycle

import (
	"math"
	"runtime/debug"
	"testing"
)

// A limit that a user sets is for what the program takes, which the ballast is no
// part of. GOGC is the user's too.
func TestCollect(t *testing.T) {
	t.Cleanup(func() { ballast = nil })
	for name, tc := range map[string]struct {
		gogc        string
		limit, want int64
		percent     int
	}{
		"nothing set": {"", math.MaxInt64, math.MaxInt64, gcPercent},
		"a limit":     {"", 40 << 20, 40<<20 + ballastBytes, gcPercent},
		"GOGC":        {"70", 40 << 20, 40 << 20, 70},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", tc.gogc)
			limit, percent := debug.SetMemoryLimit(tc.limit), debug.SetGCPercent(70)
			defer debug.SetMemoryLimit(limit)
			defer debug.SetGCPercent(percent)
			Collect()
			if got := debug.SetMemoryLimit(-1); got != tc.want {
				t.Errorf("a limit of %d, want %d", got, tc.want)
			}
			if got := debug.SetGCPercent(70); got != tc.percent {
				t.Errorf("%d percent, want %d", got, tc.percent)
			}
		})
	}
}

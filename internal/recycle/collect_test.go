package recycle

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	for name, tc := range map[string]struct{ user, used, want int64 }{
		"little":                {math.MaxInt64, 3 << 20, leastMemory},
		"much":                  {math.MaxInt64, 100 << 20, 120 << 20},
		"more than a user says": {60 << 20, 100 << 20, 60 << 20},
		"a user says little":    {leastMemory / 2, 3 << 20, leastMemory / 2},
	} {
		t.Run(name, func(t *testing.T) {
			collector{tc.user}.limit(tc.used)
			if got := debug.SetMemoryLimit(-1); got != tc.want {
				t.Errorf("a limit of %d, want %d", got, tc.want)
			}
		})
	}
}

// The limit follows what is in use. GOGC is the user's.
func TestCollect(t *testing.T) {
	before, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(70)
	defer debug.SetMemoryLimit(before)
	defer debug.SetGCPercent(percent)
	t.Setenv("GOGC", "70")
	Collect()
	if got := debug.SetGCPercent(70); got != 70 || debug.SetMemoryLimit(-1) != before {
		t.Errorf("%d percent, and a limit of %d", got, debug.SetMemoryLimit(-1))
	}

	t.Setenv("GOGC", "")
	Collect()
	if got := debug.SetGCPercent(-1); got != -1 {
		t.Errorf("garbage of %d percent is collected", got)
	}
	const much = 100 << 20
	held := make([]byte, much)
	waitForLimit(t, func(limit int64) bool { return limit > much && limit < 2*much })
	runtime.KeepAlive(held)
	waitForLimit(t, func(limit int64) bool { return limit == leastMemory })
}

// waitForLimit collects until the limit is right. What sets it does so at some time
// after a collection.
func waitForLimit(t *testing.T, right func(int64) bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		runtime.GC()
		limit := debug.SetMemoryLimit(-1)
		if right(limit) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the limit is %d", limit)
		}
	}
}

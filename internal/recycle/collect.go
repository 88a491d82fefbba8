package recycle

import (
	"math"
	"os"
	"runtime/debug"
)

// What the collector waits for: garbage of so many percent of what is in use and of
// the ballast together, some 6 MiB. Nearly all memory is buffers that are used again,
// so what is in use is little and garbage slow to come; without the ballast, a program
// that has 3 MiB would collect at every 240 KiB.
const (
	gcPercent    = 8
	ballastBytes = 64 << 20
)

// ballast is never touched, so that the system never gives memory for it.
//
//lint:ignore U1000 it is held, not read
var ballast []byte

// Collect sets how often memory is collected, for an export: at Go's default it
// takes a third more memory. GOGC in the environment overrides it. GOMEMLIMIT holds
// for what is there besides the ballast.
func Collect() {
	if os.Getenv("GOGC") != "" {
		return
	}
	ballast = make([]byte, ballastBytes)
	debug.SetGCPercent(gcPercent)
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64-ballastBytes {
		debug.SetMemoryLimit(limit + ballastBytes)
	}
}

package recycle

import (
	"os"
	"runtime/debug"
)

// What the collector waits for: garbage of a quarter of what is in use and of the
// ballast together. Nearly all memory is buffers that are used again, so what is in
// use is little and garbage slow to come.
const (
	gcPercent    = 25
	ballastBytes = 24 << 20
)

// ballast is never touched, so that the system never gives memory for it. It counts
// as in use: a program that has 3 MiB would collect at every MiB of garbage.
//
//lint:ignore U1000 it is held, not read
var ballast []byte

// Collect sets how often memory is collected, for an export: at Go's default it
// takes a third more memory. GOGC in the environment overrides it.
func Collect() {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
		debug.SetGCPercent(gcPercent)
	}
}

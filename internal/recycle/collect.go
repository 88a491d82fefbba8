package recycle

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastMemory is what the program takes before anything is collected. An export with
// 40 predictions an image has 31 MiB in use.
const leastMemory = 38 << 20

// Collect sets when memory is collected, for an export: when it takes a fifth more
// than is in use. Go by itself waits for as much garbage as there is in use, and lets
// the room between buffers grow with the time that a program runs; nearly all memory
// here is buffers that are used again, so that garbage is slow to come. GOGC in the
// environment overrides it, and GOMEMLIMIT still holds.
func Collect() {
	if os.Getenv("GOGC") != "" {
		return
	}
	c := collector{most: debug.SetMemoryLimit(-1)}
	debug.SetGCPercent(-1)
	c.limit(0)
	c.watch()
}

// collector sets the limit of memory anew after each collection. It is never above most.
type collector struct{ most int64 }

func (c collector) limit(used int64) {
	debug.SetMemoryLimit(min(c.most, max(leastMemory, used+used/5)))
}

// watch sets the limit when the next collection has ended, and so on: then what
// nobody holds is cleaned up.
func (c collector) watch() {
	marker := new([16]byte) // anything smaller shares its place with others, and lives as long
	runtime.AddCleanup(marker, func(c collector) {
		c.limit(inUse())
		c.watch()
	}, c)
}

// inUse are the bytes that the last collection left, and those of Go itself.
func inUse() int64 {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	used := samples[0].Value.Uint64() + samples[1].Value.Uint64()
	for _, heap := range samples[2:] {
		used -= heap.Value.Uint64()
	}
	return int64(used)
}

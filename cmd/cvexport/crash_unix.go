//go:build !windows

package main

import (
	"runtime/debug"
	"syscall"
)

// endCrashes makes the end of the program by its own fault, or for want of memory,
// one that nobody takes for exit code 2: it aborts. No core is left, since the key
// would be in it.
func endCrashes() {
	// That the limit cannot be set lower than it is does not happen.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	debug.SetTraceback("crash")
}

//go:build !windows

// Package crash decides how the program ends when it crashes.
package crash

import (
	"runtime/debug"
	"syscall"
)

// Abort makes a panic or a lack of memory abort the process, so that its exit code is
// not 2, which means wrong usage. No core is left: it would hold the key.
func Abort() {
	// Lowering a limit to 0 cannot fail.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	debug.SetTraceback("crash")
}

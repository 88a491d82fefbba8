//go:build !windows

package main

import (
	"os"
	"runtime/debug"
	"syscall"
)

// abortOnCrash makes a panic or a lack of memory abort the process, so that its exit
// code is not 2, which means wrong usage. No core is left: it would hold the key.
func abortOnCrash() {
	// Lowering a limit to 0 cannot fail.
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	debug.SetTraceback("crash")
}

// abort ends the process like a crash, with the stacks of all goroutines.
func abort() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGABRT) // to itself: it is allowed
	select {}
}

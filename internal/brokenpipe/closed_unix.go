//go:build !windows

package brokenpipe

import "syscall"

var closedPipe = []error{syscall.EPIPE}

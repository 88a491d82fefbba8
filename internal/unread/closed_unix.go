//go:build !windows

package unread

import "syscall"

var closed = []error{syscall.EPIPE}

//go:build !windows

package regular

import (
	"os"
	"syscall"
)

// DontWait is a flag of os.OpenFile that opens a FIFO at once and makes no terminal this process's own. It changes
// nothing about a file.
const DontWait = syscall.O_NONBLOCK | syscall.O_NOCTTY

func duplicate(descriptor int, name string) (*os.File, bool) {
	n, err := syscall.Dup(descriptor)
	if err != nil {
		return nil, false
	}
	syscall.CloseOnExec(n)
	return os.NewFile(uintptr(n), name), true
}

package brokenpipe

import "golang.org/x/sys/windows"

var closedPipe = []error{windows.ERROR_BROKEN_PIPE, windows.ERROR_NO_DATA}

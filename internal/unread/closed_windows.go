package unread

import "golang.org/x/sys/windows"

var closed = []error{windows.ERROR_BROKEN_PIPE, windows.ERROR_NO_DATA}

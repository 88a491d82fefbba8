// Package regular opens files by name, and refuses what is not a file: a FIFO, which
// would wait for somebody to open its other end, a device, a socket or a folder.
// A symbolic link to a file is a file.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrNotFile means that a name is that of something else than a file.
var ErrNotFile = errors.New("not a file")

// Check returns an error unless info is that of a file. It wraps [ErrNotFile].
func Check(name string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return fmt.Errorf("%s is %s, %w: move it away", name, kind(info.Mode()), ErrNotFile)
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "something else"
}

// Stat is os.Stat for what has to be a file. The error of anything else, a link to itself
// too, wraps [ErrNotFile].
func Stat(name string) (fs.FileInfo, error) {
	info, err := os.Stat(name)
	if err == nil {
		err = Check(name, info)
	} else if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) {
		err = fmt.Errorf("%w: %w", ErrNotFile, err)
	}
	return info, err
}

// Open opens a file for reading. It looks before it opens, because opening some devices
// does something, and again at what it has opened, which nobody can exchange.
func Open(name string) (*os.File, error) {
	if _, err := Stat(name); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDONLY|DontWait, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = Check(name, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// OpenGiven is [Open] for a name that the user has given. It may also be /dev/stdin or
// /dev/fd/N, as a shell's <(command) is: a stream that this process has open already.
func OpenGiven(name string) (*os.File, error) {
	if f, ok := stream(name); ok {
		return f, nil
	}
	return Open(name)
}

// ReadGiven reads what [OpenGiven] opens, of at most limit bytes.
func ReadGiven(name string, limit int64) ([]byte, error) { return read(name, limit, OpenGiven) }

// Read reads a file of at most limit bytes.
func Read(name string, limit int64) ([]byte, error) { return read(name, limit, Open) }

func read(name string, limit int64, open func(string) (*os.File, error)) ([]byte, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return body, err
}

// Target looks at a name that the user has given for a file to write. It returns an open
// stream for /dev/stdout, /dev/stderr, /dev/fd/N and /dev/null, and nil for a file, which
// may not exist yet. Anything else is refused.
func Target(name string) (*os.File, error) {
	if f, ok := stream(name); ok {
		return f, nil
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	}
	return nil, Check(name, info)
}

// stream returns a copy of the descriptor that a name is of, if it is of one. Opening the
// name instead could wait for the other end of a pipe.
func stream(name string) (*os.File, bool) {
	n := -1
	switch name {
	case "/dev/stdin":
		n = 0
	case "/dev/stdout":
		n = 1
	case "/dev/stderr":
		n = 2
	default:
		text, ok := strings.CutPrefix(name, "/dev/fd/")
		if !ok {
			text, ok = strings.CutPrefix(name, "/proc/self/fd/")
		}
		if number, err := strconv.ParseUint(text, 10, 16); ok && err == nil {
			n = int(number)
		}
	}
	if n < 0 {
		return nil, false
	}
	return duplicate(n, name)
}

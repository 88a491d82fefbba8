package query

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cvexport/cvexport/internal/brokenpipe"
	"github.com/cvexport/cvexport/internal/private"
	"github.com/cvexport/cvexport/internal/regular"
)

// ErrOutputClosed is returned when the reader of standard output has closed it, as
// head does when it has seen enough.
var ErrOutputClosed = errors.New("standard output was closed")

// Output is where a result goes: standard output, or a file that appears in one step
// when it is complete.
type Output struct {
	target string    // the file; empty for none
	stream io.Writer // standard output, or another stream
	device *os.File
	temp   string          // the run's folder for temporary files
	beside *private.Folder // of a file that is not complete
}

// NewOutput prepares to write the file target, or to stdout for "-", or to a stream that
// [regular.Target] knows, such as /dev/null. temp is the run's folder for temporary files.
// Close must be called, after a failure too.
func NewOutput(target string, stdout io.Writer, temp string) (*Output, error) {
	if target == "-" || target == "" {
		return &Output{stream: pipe{stdout}, temp: temp}, nil
	}
	if err := private.CheckLinks(target); err != nil {
		return nil, fmt.Errorf("writing %s: %w", target, err)
	}
	if device, err := regular.Target(target); err != nil {
		return nil, UsageErrorf("--output: %w", err)
	} else if device != nil {
		return &Output{stream: pipe{device}, device: device, temp: temp}, nil
	}
	if real, err := filepath.EvalSymlinks(target); err == nil {
		target = real
	}
	beside, err := private.NewFolder(filepath.Dir(target))
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", target, err)
	}
	return &Output{target: target, temp: temp, beside: beside}, nil
}

// Folder is the folder that [Output.WriteFile] has a file made in.
func (o *Output) Folder() string {
	if o.beside != nil {
		return o.beside.Path()
	}
	return o.temp
}

// pipe returns ErrOutputClosed for standard output that is closed. The same error of
// the operating system from anywhere else is a failure.
type pipe struct{ w io.Writer }

func (p pipe) Write(b []byte) (int, error) {
	n, err := p.w.Write(b)
	if brokenpipe.Is(err) {
		err = ErrOutputClosed
	}
	return n, err
}

// Close removes what is not complete.
func (o *Output) Close() error {
	var err error
	if o.device != nil {
		err = o.device.Close()
	}
	if o.beside != nil {
		err = errors.Join(err, o.beside.Close())
	}
	return err
}

// Write calls write with a buffered writer to the output.
func (o *Output) Write(write func(io.Writer) error) error {
	if o.target == "" {
		return buffered(o.stream, write)
	}
	return o.WriteFile(func(path string) (err error) {
		const readable = 0o666 // before umask and default access lists
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, readable)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		return buffered(f, write)
	})
}

func buffered(w io.Writer, write func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}

// WriteFile calls write with the path of a file to create, and moves that file to the
// output when it is complete.
func (o *Output) WriteFile(write func(path string) error) (err error) {
	path := filepath.Join(o.Folder(), "result")
	if err := write(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if o.target == "" {
		_, err := io.Copy(o.stream, f)
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", o.target, err)
	}
	return os.Rename(path, o.target) // the error names both
}

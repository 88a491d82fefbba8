package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cvexport/cvexport/internal/brokenpipe"
)

// output is where an answer goes: to standard output, or to a file that appears
// in one step when it is whole.
type output struct {
	target string    // the file, empty for none
	stream io.Writer // standard output, or a device
	folder string    // for what is not whole yet
	device *os.File
}

// newOutput begins the file, "-" is standard output.
func newOutput(target string, stdout io.Writer) (*output, error) {
	if target == "-" || target == "" {
		return &output{stream: read{stdout}}, nil
	}
	if real, err := filepath.EvalSymlinks(target); err == nil {
		target = real
	}
	switch info, err := os.Stat(target); {
	case err == nil && info.IsDir():
		return nil, &usageError{fmt.Errorf("--output %s is a folder", target)}
	case err == nil && !info.Mode().IsRegular(): // a pipe or a terminal, to keep
		device, err := os.OpenFile(target, os.O_WRONLY, 0)
		return &output{stream: device, device: device}, err
	}
	folder, err := os.MkdirTemp(filepath.Dir(target), ".cvreport-*")
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", target, err)
	}
	return &output{target: target, folder: folder}, nil
}

// errUnread is that the reader of standard output has gone away: whoever it is has
// seen enough.
var errUnread = errors.New("standard output: its reader has gone away")

// read is standard output, and tells when nobody reads it any more.
type read struct{ to io.Writer }

func (r read) Write(p []byte) (int, error) {
	n, err := r.to.Write(p)
	if brokenpipe.Is(err) {
		err = errUnread
	}
	return n, err
}

// close drops what is not whole.
func (o *output) close() error {
	var err error
	if o.device != nil {
		err = o.device.Close()
	}
	if o.folder != "" {
		err = errors.Join(err, os.RemoveAll(o.folder))
	}
	return err
}

// write lets an answer be written to it.
func (o *output) write(answer func(io.Writer) error) error {
	if o.target == "" {
		return buffered(o.stream, answer)
	}
	return o.writeFile(func(path string) (err error) {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		return buffered(f, answer)
	})
}

func buffered(w io.Writer, answer func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, 1<<16)
	if err := answer(b); err != nil {
		return err
	}
	return b.Flush()
}

// writeFile lets an answer be written to a file of a name, which goes where it
// belongs when it is whole.
func (o *output) writeFile(answer func(path string) error) (err error) {
	if o.folder == "" {
		if o.folder, err = os.MkdirTemp("", "cvreport-*"); err != nil {
			return err
		}
	}
	path := filepath.Join(o.folder, "answer")
	if err := answer(path); err != nil {
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

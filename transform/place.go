package transform

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// place is where in the page the decoder is.
type place struct {
	image  int    // -1 outside
	list   string // predictions, tags or regions; empty outside
	item   int    // place in the list
	inBox  bool
	field  []byte // the field being read, a part of the body
	offset int    // where its name begins
}

// enter notes the field that is read next.
func (d *Decoder) enter(key []byte) {
	d.at.field = key
	// jx does not tell its offset, but a key without escapes is a part of the
	// body, and how far into it is what the capacities differ by.
	if at := cap(d.body) - cap(key); at > 0 && at < len(d.body) && len(key) > 0 && &d.body[at] == &key[0] {
		d.at.offset = at - 1 // the quote
	}
}

// path is the field's name with the lists and objects around it.
func (p place) path(index bool) string {
	path := ""
	if p.list != "" {
		path = p.list + "[]"
		if index {
			path = p.list + "[" + strconv.Itoa(p.item) + "]"
		}
	}
	if p.inBox {
		path += ".boundingBox"
	}
	if len(p.field) > 0 {
		if path != "" {
			path += "."
		}
		path += clip(p.field)
	}
	return path
}

// skipUnknown passes over a field this version does not know, and counts it.
func (d *Decoder) skipUnknown() error {
	const most = 100 // names; a page may hold any number of them
	if d.unknown == nil {
		d.unknown = map[string]int{}
	}
	path := d.at.path(false)
	if _, counted := d.unknown[path]; !counted && len(d.unknown) >= most {
		path = "(others)"
	}
	d.unknown[path]++
	return d.jx.Skip()
}

// jxOffset finds the offset in the decoder's syntax errors, which is not exported.
var jxOffset = regexp.MustCompile(`^(unexpected byte \d+ '.*') at (\d+)$`)

// locate turns what the JSON decoder or one of our own checks found into an Error.
func (d *Decoder) locate(err error) error {
	located := &Error{Image: d.at.image, Field: d.at.path(true), Offset: d.at.offset}
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next // the decoder wraps every level it leaves in "callback"; the place says it better
	}
	located.Err = err
	switch syntax := jxOffset.FindStringSubmatch(err.Error()); {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		located.Offset = len(d.body)
		located.Err = fmt.Errorf("the page is cut off after %d bytes: %w", len(d.body), io.ErrUnexpectedEOF)
	case syntax != nil:
		if at, convErr := strconv.Atoi(syntax[2]); convErr == nil && at >= located.Offset && at <= len(d.body) {
			located.Offset = at
		}
		located.Err = errors.New(syntax[1])
	}
	return located
}

// clip keeps hostile names short in a message.
func clip(name []byte) string {
	const most = 60
	if len(name) > most {
		return string(name[:most]) + "..."
	}
	return string(name)
}

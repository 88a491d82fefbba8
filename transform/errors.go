package transform

import (
	"errors"
	"fmt"
)

// Error is a page that cannot be turned into rows. It names the place; its
// caller knows the project, iteration and page.
type Error struct {
	Image  int    // place of the image on the page, from 0; -1 outside any image
	Field  string // such as "predictions[3].probability"; empty for the image or page itself
	Offset int    // byte of the page at which the field begins, or the syntax breaks
	Err    error
}

func (e *Error) Error() string {
	where := fmt.Sprintf("byte %d", e.Offset)
	if e.Image >= 0 {
		where = fmt.Sprintf("image %d, byte %d", e.Image, e.Offset)
	}
	if e.Field != "" {
		where += ", field " + e.Field
	}
	return where + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

var (
	errTwice    = errors.New("the field is there twice")
	errNegative = errors.New("a size in pixels cannot be negative")
	errUTF8     = errors.New("the bytes are not valid utf-8")
	errHTML     = errors.New("html where json should be: a proxy or gateway answered in place of the service")
	errEmpty    = errors.New("the body is empty where json should be")
	errTrailing = errors.New("there is more after the end of the list")
)

type missingError struct{ field string }

func (e missingError) Error() string { return "the required field " + e.field + " is missing" }

package transform

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// Error is a page that cannot be turned into rows. It names the place in the
// page; the caller knows the project, iteration and page.
type Error struct {
	Image  int    // index of the image on the page; -1 outside any image
	Field  string // such as "predictions[3].probability"; empty for the image or page itself
	Offset int    // byte of the page where the field, image or page begins, or where the syntax breaks
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
	errZeroID   = errors.New("the id is all zeros")
	errUTF8     = errors.New("the bytes are not valid utf-8")
	errHTML     = errors.New("html where json should be: a proxy or gateway answered in place of the service")
	errEmpty    = errors.New("the body is empty where json should be")
	errTrailing = errors.New("there is more after the end of the list")
	errItems    = fmt.Errorf("an image has more than %d of them", schema.MaxItems)
	errDepth    = fmt.Errorf("nested deeper than %d levels", maxDepth)
)

type missingError struct{ field string }

func (e missingError) Error() string { return "the required field " + e.field + " is missing" }

// locate names the field or list item that err is about. An error of the syntax
// knows its offset already; that of a value is where the field or item begins.
func locate(err error, name string, offset int) *Error {
	e, ok := err.(*Error)
	if !ok {
		return &Error{Image: -1, Field: name, Offset: offset, Err: err}
	}
	if e.Field != "" && e.Field[0] != '[' && name != "" {
		name += "."
	}
	e.Field = name + e.Field
	return e
}

// clip keeps names and numbers in messages short, however long they are on the page.
func clip[S string | []byte](s S) string {
	const limit = 60
	if len(s) > limit {
		return strings.ToValidUTF8(string(s[:limit]), "") + "..."
	}
	return string(s)
}

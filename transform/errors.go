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
		where = fmt.Sprintf("image %d, %s", e.Image, where)
	}
	if e.Field != "" {
		where += ", field " + e.Field
	}
	return where + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// within says in which field or item the error is, and where that begins. An error
// of the syntax has a more exact place already.
func (e *Error) within(name string, start int) {
	if e.Offset < 0 {
		e.Offset = start
	}
	if e.Field != "" && e.Field[0] != '[' && name != "" {
		name += "."
	}
	e.Field = name + e.Field
}

var (
	errTwice    = errors.New("the field is there twice")
	errNegative = errors.New("a size in pixels cannot be negative")
	errNoTime   = errors.New("not a time")
	errZeroID   = errors.New("the id is all zeros")
	errUTF8     = errors.New("the bytes are not valid utf-8")
	errHTML     = errors.New("html where json should be: a proxy or gateway answered in place of the service")
	errEmpty    = errors.New("the body is empty where json should be")
	errTrailing = errors.New("unexpected data after the end of the list")
	errItems    = fmt.Errorf("an image has more than %d of them", schema.MaxItems)
	errDepth    = fmt.Errorf("nested deeper than %d levels", maxDepth)
)

// clip keeps names and numbers in messages short, however long they are on the page.
func clip[S string | []byte](s S) string {
	const limit = 60
	if len(s) > limit {
		return strings.ToValidUTF8(string(s[:limit]), "") + "..."
	}
	return string(s)
}

package transform

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/go-faster/jx"

	"github.com/cvexport/cvexport/schema"
)

// isNull reads a null if there is one.
func (d *Decoder) isNull() (bool, error) {
	if d.jx.Next() != jx.Null {
		return false, nil
	}
	return true, d.jx.Null()
}

// expect makes a wrong type an error that says what is there.
func (d *Decoder) expect(want jx.Type) error {
	if got := d.jx.Next(); got != want && got != jx.Invalid { // what is no value at all is a syntax error of the reading
		return fmt.Errorf("want a %s, got a %s", want, got)
	}
	return nil
}

func (d *Decoder) text(into *text) error {
	if null, err := d.isNull(); null || err != nil {
		return err
	}
	if err := d.expect(jx.String); err != nil {
		return err
	}
	b, err := d.jx.StrBytes()
	if err == nil && len(b) > schema.MaxText {
		err = fmt.Errorf("the text has %d bytes, more than the %d that are taken", len(b), schema.MaxText)
	}
	*into = text{bytes: b, present: err == nil}
	return err
}

func (d *Decoder) uri(into *text) error {
	if err := d.text(into); err != nil {
		return err
	}
	if i := bytes.IndexByte(into.bytes, '?'); i >= 0 && !d.opts.KeepSAS {
		into.bytes = into.bytes[:i]
	}
	return nil
}

func (d *Decoder) id(into *schema.ID) error {
	var t text
	if err := d.text(&t); err != nil || !t.present {
		return err
	}
	id, err := schema.ParseID(t.bytes)
	if err == nil && id.IsZero() {
		err = errors.New("the id is all zeros")
	}
	*into = id
	return err
}

func (d *Decoder) time(into *micros) error {
	var t text
	if err := d.text(&t); err != nil || !t.present {
		return err
	}
	value, err := schema.ParseTime(t.bytes)
	*into = micros{value: value, present: err == nil}
	return err
}

func (d *Decoder) pixels(into *count) error {
	number, err := d.number()
	if err != nil || number == "" {
		return err
	}
	value, err := strconv.ParseInt(number, 10, 32)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s does not fit 32 bits", clip([]byte(number)))
	case err != nil:
		return fmt.Errorf("%s is not a whole number", clip([]byte(number)))
	case value < 0:
		return errNegative
	}
	*into = count{value: int32(value), present: true}
	return nil
}

// float reads a number to the last digit of the double: strconv rounds
// correctly for every input, which the JSON decoder's own fast path does not.
func (d *Decoder) float(into *float64, present *bool) error {
	number, err := d.number()
	if err != nil || number == "" {
		return err
	}
	value, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsInf(value, 0) {
		return fmt.Errorf("%s does not fit a double", clip([]byte(number)))
	}
	*into, *present = value, true
	return nil
}

// number returns the number's text, empty for null. It is a part of the body
// and is not kept.
func (d *Decoder) number() (string, error) {
	if null, err := d.isNull(); null || err != nil {
		return "", err
	}
	if err := d.expect(jx.Number); err != nil {
		return "", err
	}
	raw, err := d.jx.Raw()
	if err != nil {
		return "", err
	}
	return unsafe.String(unsafe.SliceData(raw), len(raw)), nil
}

package extract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-faster/jx"

	"github.com/cvexport/cvexport/schema"
)

// decodeAnswer decodes a JSON answer. An ambiguous one, with a repeated field or
// invalid UTF-8, is an error, as in a page.
func decodeAnswer(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("the bytes are not valid utf-8")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return err
	}
	return innermost(uniqueFields(jx.DecodeBytes(body)))
}

// uniqueFields fails if an object has a field twice. Like encoding/json, it does not
// distinguish upper and lower case.
func uniqueFields(d *jx.Decoder) error {
	switch d.Next() {
	case jx.Object:
		seen := map[string]struct{}{}
		return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
			name := strings.ToLower(string(key))
			if _, twice := seen[name]; twice {
				return fmt.Errorf("field %.60q is there twice", name)
			}
			seen[name] = struct{}{}
			return uniqueFields(d)
		})
	case jx.Array:
		return d.Arr(uniqueFields)
	}
	return d.Skip()
}

// innermost drops the context that the decoder adds to an error at every level.
func innermost(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// checker is an element of an answer that can validate itself.
type checker interface {
	check() error
	id() schema.ID
}

// checkAll checks every element of a list. The list must be there, and each id unique.
func checkAll[T any, P interface {
	*T
	checker
}](list []T) error {
	if list == nil {
		return errors.New("the answer is not a list")
	}
	seen := make(map[schema.ID]struct{}, len(list))
	for i := range list {
		element := P(&list[i])
		if err := element.check(); err != nil {
			return err
		}
		if _, twice := seen[element.id()]; twice {
			return fmt.Errorf("%s is listed twice", element.id())
		}
		seen[element.id()] = struct{}{}
	}
	return nil
}

var errNoID = errors.New("the answer has no id")

func checkTexts(id schema.ID, texts ...*string) error {
	if id.IsZero() {
		return errNoID
	}
	for _, text := range texts {
		if text != nil && len(*text) > schema.MaxText {
			return fmt.Errorf("a text of %s has %d bytes, more than the %d that are taken", id, len(*text), schema.MaxText)
		}
	}
	return nil
}

func (p *Project) id() schema.ID        { return p.ID }
func (i *Iteration) id() schema.ID      { return i.ID }
func (t *Tag) id() schema.ID            { return t.ID }
func (t *TagPerformance) id() schema.ID { return t.ID }

func (p *Project) check() error { return checkTexts(p.ID, &p.Name) }

func (i *Iteration) check() error {
	return checkTexts(i.ID, &i.Name, &i.Status, i.ClassificationType, i.TrainingType, i.PublishName, i.ErrorDetails)
}

func (t *Tag) check() error {
	if t.ImageCount != nil && *t.ImageCount < 0 {
		return fmt.Errorf("tag %s has a negative number of images", t.ID)
	}
	return checkTexts(t.ID, &t.Name, t.Type)
}

func (t *TagPerformance) check() error { return checkTexts(t.ID, t.Name) }

func (p *Performance) check() error { return checkAll(p.Tags) }

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

// decodeAnswer reads a JSON answer. What the service could mean in two ways, a
// field that comes twice or text that is no UTF-8, is an error, as in a page.
func decodeAnswer(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("the bytes are not valid utf-8")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return err
	}
	return unwrapped(uniqueFields(jx.DecodeBytes(body)))
}

// uniqueFields finds a field that an object has twice, in whatever case: the
// reader of JSON here takes either case for the same field.
func uniqueFields(d *jx.Decoder) error {
	switch d.Next() {
	case jx.Object:
		met := map[string]struct{}{}
		return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
			name := strings.ToLower(string(key))
			if _, twice := met[name]; twice {
				return fmt.Errorf("field %.60q is there twice", name)
			}
			met[name] = struct{}{}
			return uniqueFields(d)
		})
	case jx.Array:
		return d.Arr(uniqueFields)
	}
	return d.Skip()
}

// unwrapped takes off what the decoder wraps around an error at every level.
func unwrapped(err error) error {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	return err
}

// checked is a part of an answer that can tell whether it makes sense.
type checked interface {
	check() error
	id() schema.ID
}

// checkAll checks every part of a list, which must be one, with each part once.
func checkAll[T any, P interface {
	*T
	checked
}](list []T) error {
	if list == nil {
		return errors.New("the answer is not a list")
	}
	met := make(map[schema.ID]struct{}, len(list))
	for i := range list {
		part := P(&list[i])
		if err := part.check(); err != nil {
			return err
		}
		if _, twice := met[part.id()]; twice {
			return fmt.Errorf("%s is listed twice", part.id())
		}
		met[part.id()] = struct{}{}
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

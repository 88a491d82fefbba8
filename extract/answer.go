package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/cvexport/cvexport/schema"
)

// getAnswer reads, decodes and checks an answer. Its errors begin with what was done.
func getAnswer[T any](ctx context.Context, c *Client, what string, check func(T) error, query url.Values, path ...string) (answer T, err error) {
	body, err := c.get(ctx, query, path...)
	if err == nil {
		if err = decodeAnswer(body, &answer); err != nil {
			// The decoder's error may quote the answer at any length.
			err = fmt.Errorf("unexpected answer (%s): %s; check that --endpoint is a Custom Vision training resource", cleanTo(string(body), c.key, 80), clean(err.Error(), c.key))
		}
	}
	if err == nil {
		err = check(answer)
	}
	if err != nil {
		var none T
		return none, fmt.Errorf("%s: %w", what, err)
	}
	return answer, nil
}

// decodeAnswer decodes a JSON answer. An ambiguous one, with a repeated field or
// invalid UTF-8, is an error, as in a page.
func decodeAnswer(body []byte, into any) error {
	if !utf8.Valid(body) {
		return errors.New("the bytes are not valid utf-8")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return err
	}
	return uniqueFields(json.NewDecoder(bytes.NewReader(body)))
}

// uniqueFields fails if an object has a field twice. Like encoding/json, it does not
// distinguish upper and lower case.
func uniqueFields(d *json.Decoder) error {
	token, err := d.Token()
	start, ok := token.(json.Delim)
	if err != nil || !ok {
		return err
	}
	seen := map[string]bool{}
	for d.More() {
		if start == '{' {
			if token, err = d.Token(); err != nil {
				return err
			}
			name := strings.ToLower(token.(string))
			if seen[name] {
				return fmt.Errorf("field %.60q is there twice", name)
			}
			seen[name] = true
		}
		if err := uniqueFields(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// checker is an answer, or an element of one, that can check itself.
type checker interface {
	check() (schema.ID, error)
}

// checkOne returns a check of an answer about one thing.
func checkOne[T checker](want schema.ID) func(T) error {
	return func(answer T) error {
		id, err := answer.check()
		if err == nil && id != want {
			err = fmt.Errorf("the answer is about %s", id)
		}
		return err
	}
}

// checkAll checks every element of a list. The list must be there, and each id unique.
func checkAll[T checker](list []T) error {
	if list == nil {
		return errors.New("the answer is not a list")
	}
	seen := make(map[schema.ID]bool, len(list))
	for _, element := range list {
		id, err := element.check()
		if err != nil {
			return err
		}
		if seen[id] {
			return fmt.Errorf("%s is listed twice", id)
		}
		seen[id] = true
	}
	return nil
}

func checkTexts(id schema.ID, texts ...*string) (schema.ID, error) {
	if id.IsZero() {
		return id, errors.New("the answer has no id")
	}
	for _, text := range texts {
		if text != nil && len(*text) > schema.MaxText {
			return id, fmt.Errorf("a text of %s has %d bytes, more than the limit of %d", id, len(*text), schema.MaxText)
		}
	}
	return id, nil
}

func (p Project) check() (schema.ID, error) { return checkTexts(p.ID, &p.Name) }

func (i Iteration) check() (schema.ID, error) {
	return checkTexts(i.ID, &i.Name, &i.Status, i.ClassificationType, i.TrainingType, i.PublishName, i.ErrorDetails)
}

func (t Tag) check() (schema.ID, error) {
	if t.ImageCount != nil && *t.ImageCount < 0 {
		return t.ID, fmt.Errorf("tag %s has a negative number of images", t.ID)
	}
	return checkTexts(t.ID, &t.Name, t.Type)
}

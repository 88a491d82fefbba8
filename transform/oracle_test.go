package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cvexport/cvexport/schema"
)

// The oracle reads a page with encoding/json into a tree, and makes rows of the tree.

type oracle struct {
	repeated int
	known    func(schema.ID) bool

	rows    map[string][]row
	ids     []schema.ID
	unknown map[string]int
	unread  map[string]bool
}

func (o *oracle) read(body []byte) error {
	if !json.Valid(body) || !utf8.Valid(body) {
		return errors.New("not json")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	page, err := tree(d)
	if err != nil {
		return err
	}
	images, ok := page.([]any)
	if !ok {
		return errors.New("not a list")
	}
	o.rows = map[string][]row{"images": nil, "predictions": nil, "tags": nil, "regions": nil}
	for n, image := range images {
		if err := o.image(n, image); err != nil {
			return err
		}
	}
	return nil
}

// member is a field of an object; names may come twice.
type member struct {
	name  string
	value any
}

func tree(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			item, err := tree(d)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		object := []member{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := tree(d)
			if err != nil {
				return nil, err
			}
			object = append(object, member{name.(string), value})
		}
		_, err = d.Token()
		return object, err
	}
	return token, nil
}

// object returns the fields of those names that are not null, and counts others.
func (o *oracle) object(v any, path string, names ...string) (map[string]any, error) {
	members, ok := v.([]member)
	if !ok {
		return nil, fmt.Errorf("%v is no object", v)
	}
	fields, seen := map[string]any{}, map[string]bool{}
	for _, m := range members {
		wanted := false
		for _, name := range names {
			wanted = wanted || m.name == name
		}
		switch {
		case !wanted && path != "-":
			name := path + clip(m.name)
			if o.unknown[name] == 0 && len(o.unknown) >= 100 {
				name = "(others)"
			}
			o.unknown[name]++
		case !wanted:
		case seen[m.name]:
			return nil, fmt.Errorf("%s is there twice", m.name)
		default:
			seen[m.name] = true
			if m.value != nil {
				fields[m.name] = m.value
			}
		}
	}
	return fields, nil
}

func (o *oracle) image(n int, v any) error {
	if n < o.repeated || o.known != nil {
		f, err := o.object(v, "-", "id")
		if err != nil {
			return err
		}
		if f["id"] != nil {
			id, err := oracleID(f["id"])
			if err != nil {
				return err
			}
			parsed, err := schema.ParseID(id.(string))
			if err != nil {
				return err
			}
			if n < o.repeated || o.known(parsed) {
				o.ids = append(o.ids, parsed)
				return nil
			}
		}
	}
	f, err := o.object(v, "", "id", "created", "width", "height", "imageUri", "thumbnailUri", "predictions", "tags", "regions")
	if err != nil {
		return err
	}
	r, err := o.row("", f, row{"image_index": int32(len(o.rows["images"]))}, []oracleField{{"id", "image_id", oracleID, true},
		{"created", "created", oracleTime, false}, {"width", "width", oraclePixels, false}, {"height", "height", oraclePixels, false},
		{"imageUri", "image_uri", oracleURI, false}, {"thumbnailUri", "thumbnail_uri", oracleURI, false}})
	if err != nil {
		return err
	}
	o.rows["images"] = append(o.rows["images"], r)
	id, err := schema.ParseID(r["image_id"].(string))
	if err != nil {
		return err
	}
	o.ids = append(o.ids, id)
	tag := []oracleField{{"tagId", "tag_id", oracleID, true}, {"tagName", "tag_name", oracleText, false}}
	created := oracleField{"created", "created", oracleTime, false}
	box := []oracleField{{"left", "box_left", oracleFraction, true}, {"top", "box_top", oracleFraction, true}, {"width", "box_width", oracleFraction, true}, {"height", "box_height", oracleFraction, true}}
	return errors.Join(
		o.list(f["predictions"], "prediction", id, append([]oracleField{{"probability", "probability", oracleProbability, true}, {"boundingBox", "", nil, false}}, tag...), box),
		o.list(f["tags"], "tag", id, append([]oracleField{created}, tag...), nil),
		o.list(f["regions"], "region", id, append(append([]oracleField{created, {"regionId", "region_id", oracleID, true}}, tag...), box...), nil))
}

// list makes the rows of a list; box is for the boundingBox of its items.
func (o *oracle) list(v any, kind string, id schema.ID, fields, box []oracleField) error {
	items, ok := v.([]any)
	if !ok && v != nil {
		return fmt.Errorf("%v is no list", v)
	}
	names := func(fields []oracleField) (names []string) {
		for _, f := range fields {
			names = append(names, f.name)
		}
		return names
	}
	for n, item := range items {
		path := kind + "s[]."
		f, err := o.object(item, path, names(fields)...)
		if err != nil {
			return err
		}
		r := row{"image_id": id.String(), kind + "_index": int32(n)}
		sides, hasBox := f["boundingBox"], f["boundingBox"] != nil
		delete(f, "boundingBox")
		if r, err = o.row(path, f, r, fields); err != nil {
			return err
		}
		delete(r, "")
		if hasBox {
			f, err := o.object(sides, path+"boundingBox.", names(box)...)
			if err != nil {
				return err
			}
			if r, err = o.row(path, f, r, box); err != nil {
				return err
			}
		} else {
			for _, side := range box {
				r[side.column] = nil
			}
		}
		o.rows[kind+"s"] = append(o.rows[kind+"s"], r)
	}
	return nil
}

type oracleField struct {
	name, column string
	convert      func(any) (any, error)
	required     bool
}

func (o *oracle) row(path string, values map[string]any, r row, fields []oracleField) (row, error) {
	r["export_id"] = exportID.String()
	for _, f := range fields {
		v := values[f.name]
		if v == nil {
			if f.required {
				return nil, errors.New("a required field is missing")
			}
			r[f.column] = nil
			continue
		}
		var err error
		if r[f.column], err = f.convert(v); err != nil {
			return nil, err
		}
		if r[f.column] == nil {
			o.unread[path+f.name] = true
		}
	}
	return r, nil
}

func oracleText(v any) (any, error) {
	s, ok := v.(string)
	if !ok || len(s) > schema.MaxText {
		return nil, fmt.Errorf("%T is no text", v)
	}
	return s, nil
}

func oracleURI(v any) (any, error) {
	s, err := oracleText(v)
	if err != nil {
		return nil, err
	}
	before, _, _ := strings.Cut(s.(string), "?")
	return before, nil
}

func oracleID(v any) (any, error) {
	s, ok := v.(string)
	id, err := schema.ParseID(s)
	if !ok || err != nil || id.IsZero() {
		return nil, fmt.Errorf("%v is no id", v)
	}
	return strings.ToLower(s), nil
}

func oracleTime(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return nil, nil // is told, and null
	}
	micros, err := schema.ParseTime(s)
	if err != nil {
		return nil, nil
	}
	if at, err := time.Parse("2006-01-02T15:04:05.999999999", strings.TrimSuffix(s, "Z")); err == nil {
		micros = at.UnixMicro() // zones are left to the tests of ParseTime
	}
	return timeCell(micros), nil
}

func oracleDouble(v any) (any, error) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, fmt.Errorf("%v is no number", v)
	}
	return strconv.ParseFloat(n.String(), 64)
}

func oracleProbability(v any) (any, error) {
	p, err := oracleDouble(v)
	if err == nil && (p.(float64) < 0 || p.(float64) > 1) {
		err = fmt.Errorf("%v is no probability", p)
	}
	return p, err
}

func oraclePixels(v any) (any, error) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, fmt.Errorf("%v is no number", v)
	}
	i, err := strconv.ParseInt(n.String(), 10, 32)
	if err != nil || i < 0 {
		return nil, fmt.Errorf("%v is no size", v)
	}
	return int32(i), nil
}

func oracleFraction(v any) (any, error) {
	f, err := oracleDouble(v)
	if err == nil && (f.(float64) < -1000 || f.(float64) > 1000) {
		err = fmt.Errorf("%v is no fraction of an image", f)
	}
	return f, err
}

package transform

import (
	"bytes"

	"github.com/cvexport/cvexport/schema"
)

// quick reads pages as nearly all are: known fields, each once at most, with
// values of their types. On anything else it gives up, whether it is an error or
// not, and the plain decoder reads the page again from its start: that one knows
// what is wrong, and where. What quick takes, the plain decoder takes too, and
// makes the same rows of it (FuzzQuick).
type quick struct {
	scanner
	decoder *Decoder
	item    quickItem
	skip    bool // the image is repeated from the page before, and gets no rows
}

// quickItem is one prediction, tag or region while it is read.
type quickItem struct {
	met         once
	rawTag      []byte // as it is written
	tagName     text
	rawName     []byte // as it is written, with quotes
	tag, name   int32  // in the dictionaries; name is -1 for null
	created     micros
	probability float64
	regionID    schema.ID
	side        [4]float64
}

const (
	metTagID once = 1 << iota
	metTagName
	metCreated
	metProbability
	metBox
	metRegionID
	metLeft
	metTop
	metWidth
	metHeight

	metSides = metLeft | metTop | metWidth | metHeight
)

// page reads the page that the decoder has, and reports whether it did. If not,
// the decoder holds a part of it, to be discarded.
func (q *quick) page() bool {
	q.scanner = scanner{b: q.decoder.body}
	defer q.forget()
	if q.peek() != '[' {
		return false // null is no page
	}
	for state := q.scanner.item(true); state != closed; state = q.scanner.item(false) {
		if state == broken || !q.image() {
			return false
		}
	}
	return q.ended()
}

// forget lets go of the page.
func (q *quick) forget() {
	q.scanner, q.item = scanner{}, quickItem{}
	for _, c := range []*childColumns{&q.decoder.predictions.childColumns, &q.decoder.tags.childColumns, &q.decoder.regions.childColumns} {
		clear(c.seen[:])
	}
}

func (q *quick) image() bool {
	d := q.decoder
	d.image = image{predictions: d.predictions.n(), tags: d.tags.n(), regions: d.regions.n()}
	img := &d.image
	q.skip = len(d.ids) < d.repeats
	for first := true; ; first = false {
		key, state := q.key(first)
		if state != open {
			if state == broken || img.id.IsZero() {
				return false
			}
			d.ids = append(d.ids, img.id)
			if !q.skip {
				d.appendImage()
			}
			return true
		}
		ok := false
		switch string(key) {
		case "id":
			ok = img.met.mark(1) == nil && q.id(&img.id)
		case "created":
			ok = img.met.mark(2) == nil && q.time(&img.created)
		case "width":
			ok = img.met.mark(4) == nil && q.pixels(&img.width)
		case "height":
			ok = img.met.mark(8) == nil && q.pixels(&img.height)
		case "imageUri":
			ok = img.met.mark(16) == nil && q.uri(&img.imageURI)
		case "thumbnailUri":
			ok = img.met.mark(32) == nil && q.uri(&img.thumbnailURI)
		case "predictions":
			ok = img.met.mark(64) == nil && q.predictions()
		case "tags":
			ok = img.met.mark(128) == nil && q.tags()
		case "regions":
			ok = img.met.mark(256) == nil && q.regions()
		}
		if !ok {
			return false
		}
	}
}

func (q *quick) predictions() bool {
	c := &q.decoder.predictions
	for n, state := 0, q.scanner.item(true); state != closed; n, state = n+1, q.scanner.item(false) {
		if state == broken || n == schema.MaxItems {
			return false
		}
		if !q.usual(&c.childColumns) && (!q.fields(&c.childColumns, metTagID|metTagName|metProbability|metBox) || !q.has(metTagID|metProbability)) {
			return false
		}
		if q.skip {
			continue
		}
		q.appendTag(&c.childColumns)
		c.probability.append(q.item.probability)
		c.box.append(&q.item.side, q.item.met&metSides != 0)
	}
	return true
}

func (q *quick) tags() bool {
	c := &q.decoder.tags
	for n, state := 0, q.scanner.item(true); state != closed; n, state = n+1, q.scanner.item(false) {
		if state == broken || n == schema.MaxItems || !q.fields(&c.childColumns, metTagID|metTagName|metCreated) || !q.has(metTagID) {
			return false
		}
		if q.skip {
			continue
		}
		q.appendTag(&c.childColumns)
		q.item.created.appendTo(c.created)
	}
	return true
}

func (q *quick) regions() bool {
	c := &q.decoder.regions
	for n, state := 0, q.scanner.item(true); state != closed; n, state = n+1, q.scanner.item(false) {
		if state == broken || n == schema.MaxItems || !q.fields(&c.childColumns, metTagID|metTagName|metCreated|metRegionID|metSides) || !q.has(metTagID|metRegionID|metSides) {
			return false
		}
		if q.skip {
			continue
		}
		q.appendTag(&c.childColumns)
		var buf [36]byte
		c.regionID.append(q.item.regionID.Append(buf[:0]))
		q.item.created.appendTo(c.created)
		c.box.append(&q.item.side, true)
	}
	return true
}

func (q *quick) has(fields once) bool { return q.item.met&fields == fields }

// appendTag appends what predictions, tags and regions share.
func (q *quick) appendTag(c *childColumns) {
	c.tagID.append(q.item.tag)
	if q.item.name >= 0 {
		c.tagName.append(q.item.name)
	} else {
		c.tagName.appendNull()
	}
}

// fields reads the fields of an item, of which it may have only those allowed.
func (q *quick) fields(c *childColumns, allowed once) bool {
	q.item = quickItem{name: -1}
	for first := true; ; first = false {
		key, state := q.key(first)
		if state != open {
			return state == closed && q.tag(c)
		}
		if !q.field(key, allowed) {
			return false
		}
	}
}

// tag finds the item's tag in the dictionaries, and remembers how it was written.
func (q *quick) tag(c *childColumns) bool {
	it := &q.item
	if !q.has(metTagID) {
		return false
	}
	seen := c.seen.at(it.rawTag)
	if string(seen.id[:]) == string(it.rawTag) {
		it.tag = seen.tag
	} else {
		id, err := schema.ParseID(it.rawTag)
		if err != nil || id.IsZero() {
			return false
		}
		var buf [36]byte
		it.tag = c.tagID.index(id.Append(buf[:0]))
	}
	if it.tagName.present {
		it.name = c.tagName.index(it.tagName.bytes)
	}
	if q.has(metTagName) {
		*seen = seenTag{id: [36]byte(it.rawTag), written: it.rawName, tag: it.tag, name: it.name}
	}
	return true
}

func (q *quick) field(key []byte, allowed once) bool {
	it := &q.item
	mark := func(bit once) bool { return allowed&bit != 0 && it.met.mark(bit) == nil }
	switch string(key) {
	case "probability":
		return mark(metProbability) && q.number(&it.probability)
	case "tagId":
		return mark(metTagID) && q.tagID()
	case "tagName":
		return mark(metTagName) && q.tagName()
	case "boundingBox":
		return mark(metBox) && q.box()
	case "created":
		return mark(metCreated) && q.time(&it.created)
	case "regionId":
		return mark(metRegionID) && q.id(&it.regionID)
	case "left":
		return mark(metLeft) && q.number(&it.side[0])
	case "top":
		return mark(metTop) && q.number(&it.side[1])
	case "width":
		return mark(metWidth) && q.number(&it.side[2])
	case "height":
		return mark(metHeight) && q.number(&it.side[3])
	}
	return false
}

// box reads the four sides of a prediction's box, or null.
func (q *quick) box() bool {
	if q.peek() != '{' {
		return q.null()
	}
	for first := true; ; first = false {
		key, state := q.key(first)
		if state != open {
			return state == closed && q.has(metSides)
		}
		if !q.field(key, metSides) {
			return false
		}
	}
}

func (q *quick) number(into *float64) (ok bool) {
	*into, ok = q.float()
	return ok
}

func (q *quick) pixels(into *count) (ok bool) {
	if q.peek() == 'n' {
		return q.null()
	}
	into.value, into.present = q.integer()
	return into.present
}

func (q *quick) time(into *micros) bool {
	var t text
	if ok := q.text(&t); !ok || !t.present {
		return ok
	}
	value, err := schema.ParseTime(t.bytes)
	*into = micros{value: value, present: true}
	return err == nil
}

// text reads a string that is not too long, or null.
func (q *quick) text(into *text) bool {
	return q.scanner.text(into) && len(into.bytes) <= schema.MaxText
}

func (q *quick) uri(into *text) bool {
	if !q.text(into) {
		return false
	}
	if i := bytes.IndexByte(into.bytes, '?'); i >= 0 && !q.decoder.opts.KeepSAS {
		into.bytes = into.bytes[:i]
	}
	return true
}

func (q *quick) id(into *schema.ID) bool {
	raw, ok := q.fixed(36)
	if !ok {
		return false
	}
	id, err := schema.ParseID(raw)
	*into = id
	return err == nil && !id.IsZero()
}

func (q *quick) tagID() (ok bool) {
	q.item.rawTag, ok = q.fixed(36)
	return ok
}

func (q *quick) tagName() bool {
	q.peek()
	start := q.i
	ok := q.text(&q.item.tagName)
	q.item.rawName = q.b[start:q.i]
	return ok
}

package transform

import "encoding/binary"

// usual reads a prediction if it is written as the service writes nearly all of
// them: these fields in this order, without white space, of a tag that the page
// has named before. Otherwise it reads nothing, and the fields are read one by one.
func (q *quick) usual(c *childColumns) bool {
	start := q.i
	if q.usualTag(c) && q.usualBox() {
		return true
	}
	q.i = start
	return false
}

func (q *quick) usualTag(c *childColumns) bool {
	it := &q.item
	it.met = metTagID | metTagName | metProbability
	if !q.literal(`{"probability":`) || !q.number(&it.probability) || !q.literal(`,"tagId":"`) || len(q.b)-q.i < 36 {
		return false
	}
	id := q.b[q.i : q.i+36]
	seen := c.seen.at(id)
	if string(seen.id[:]) != string(id) {
		return false
	}
	q.i += 36
	it.tag, it.name = seen.tag, seen.name
	return q.literal(`","tagName":`) && q.literal(string(seen.written))
}

func (q *quick) usualBox() bool {
	it := &q.item
	if q.literal(`}`) {
		return true // a classifier's
	}
	it.met |= metBox | metSides
	return q.literal(`,"boundingBox":{"left":`) && q.number(&it.side[0]) &&
		q.literal(`,"top":`) && q.number(&it.side[1]) &&
		q.literal(`,"width":`) && q.number(&it.side[2]) &&
		q.literal(`,"height":`) && q.number(&it.side[3]) &&
		q.literal(`}}`)
}

// seenTags remembers tags of a page and where its dictionaries have them: a page
// names few, often.
type seenTags [256]seenTag

type seenTag struct {
	id        [36]byte // as it is written
	written   []byte   // its name, a part of the page
	tag, name int32
}

// at is the place for the tag with an id of 36 bytes, which another may have.
func (s *seenTags) at(id []byte) *seenTag {
	const multiplier = 0x9E3779B97F4A7C15
	return &s[(binary.LittleEndian.Uint64(id)*multiplier)>>56]
}

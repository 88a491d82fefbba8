package transform

import (
	"fmt"

	"github.com/go-faster/jx"

	"github.com/cvexport/cvexport/schema"
)

// item is one prediction, tag or region while it is read.
type item struct {
	met             once
	tagID, regionID schema.ID
	tagName         text
	created         micros
	probability     float64
	hasProbability  bool
	box             box
	hasBox          bool
}

// box is left, top, width, height and which of them were there.
type box struct {
	met  once
	side [4]float64
	has  [4]bool
}

var sides = [4]string{"left", "top", "width", "height"}

func (d *Decoder) object(fields func(*jx.Decoder, []byte) error) error {
	d.at.item++
	d.at.field = nil
	if d.at.item >= schema.MaxItems {
		return fmt.Errorf("an image has more than %d of them", schema.MaxItems)
	}
	d.item = item{}
	if err := d.expect(jx.Object); err != nil {
		return err
	}
	err := d.jx.ObjBytes(fields)
	if err == nil {
		d.at.field = nil
	}
	return err
}

// tag checks and appends what predictions, tags and regions share; the image's
// id is appended when the image ends.
func (c *childColumns) tag(it *item) error {
	if it.tagID.IsZero() {
		return missingError{"tagId"}
	}
	var buf [36]byte
	c.tagID.append(c.tagID.index(it.tagID.Append(buf[:0])))
	c.tagName.appendText(it.tagName)
	return nil
}

func (d *Decoder) predictionItem(*jx.Decoder) error {
	if err := d.object(d.fields.prediction); err != nil {
		return err
	}
	it := &d.item
	if !it.hasProbability {
		return missingError{"probability"}
	}
	if err := d.predictions.tag(it); err != nil {
		return err
	}
	d.predictions.probability.append(it.probability)
	d.predictions.box.append(&it.box.side, it.hasBox)
	return nil
}

func (d *Decoder) predictionField(_ *jx.Decoder, key []byte) error {
	d.enter(key)
	it := &d.item
	switch string(key) {
	case "probability":
		if err := it.met.mark(1); err != nil {
			return err
		}
		return d.float(&it.probability, &it.hasProbability)
	case "tagId":
		return first(it.met.mark(2), d.id, &it.tagID)
	case "tagName":
		return first(it.met.mark(4), d.text, &it.tagName)
	case "boundingBox":
		return first(it.met.mark(8), d.boundingBox, it)
	}
	return d.skipUnknown()
}

// boundingBox is absent for a classifier; where it is there, it is whole.
func (d *Decoder) boundingBox(it *item) error {
	if null, err := d.isNull(); null || err != nil {
		return err
	}
	if err := d.expect(jx.Object); err != nil {
		return err
	}
	d.at.inBox, d.at.field = true, nil
	if err := d.jx.ObjBytes(d.fields.box); err != nil {
		return err
	}
	d.at.field = nil
	if err := it.box.complete(); err != nil {
		return err
	}
	it.hasBox = true
	d.at.inBox = false
	return nil
}

func (b *box) complete() error {
	for i, has := range b.has {
		if !has {
			return missingError{sides[i]}
		}
	}
	return nil
}

func (d *Decoder) boxField(_ *jx.Decoder, key []byte) error {
	d.enter(key)
	if known, err := d.side(key); known || err != nil {
		return err
	}
	return d.skipUnknown()
}

// side reads one side of a box if the key is one.
func (d *Decoder) side(key []byte) (bool, error) {
	b := &d.item.box
	for i, name := range sides {
		if string(key) == name {
			if err := b.met.mark(1 << i); err != nil {
				return true, err
			}
			return true, d.float(&b.side[i], &b.has[i])
		}
	}
	return false, nil
}

func (d *Decoder) tagItem(*jx.Decoder) error {
	if err := d.object(d.fields.tag); err != nil {
		return err
	}
	if err := d.tags.tag(&d.item); err != nil {
		return err
	}
	d.item.created.appendTo(d.tags.created)
	return nil
}

func (d *Decoder) tagField(_ *jx.Decoder, key []byte) error {
	d.enter(key)
	if known, err := d.labelField(key); known || err != nil {
		return err
	}
	return d.skipUnknown()
}

// labelField reads what a tag on an image and a region have in common.
func (d *Decoder) labelField(key []byte) (bool, error) {
	it := &d.item
	switch string(key) {
	case "tagId":
		return true, first(it.met.mark(2), d.id, &it.tagID)
	case "tagName":
		return true, first(it.met.mark(4), d.text, &it.tagName)
	case "created":
		return true, first(it.met.mark(16), d.time, &it.created)
	}
	return false, nil
}

func (d *Decoder) regionItem(*jx.Decoder) error {
	if err := d.object(d.fields.region); err != nil {
		return err
	}
	it := &d.item
	if it.regionID.IsZero() {
		return missingError{"regionId"}
	}
	if err := it.box.complete(); err != nil {
		return err
	}
	if err := d.regions.tag(it); err != nil {
		return err
	}
	var buf [36]byte
	d.regions.regionID.append(it.regionID.Append(buf[:0]))
	it.created.appendTo(d.regions.created)
	d.regions.box.append(&it.box.side, true)
	return nil
}

func (d *Decoder) regionField(_ *jx.Decoder, key []byte) error {
	d.enter(key)
	if string(key) == "regionId" {
		return first(d.item.met.mark(32), d.id, &d.item.regionID)
	}
	if known, err := d.labelField(key); known || err != nil {
		return err
	}
	if known, err := d.side(key); known || err != nil {
		return err
	}
	return d.skipUnknown()
}

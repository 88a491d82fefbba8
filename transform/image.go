package transform

import (
	"github.com/go-faster/jx"

	"github.com/cvexport/cvexport/schema"
)

// once marks which fields of an object were met; a field that comes twice is
// an error, because two readers could take two different values for it.
type once uint16

func (o *once) mark(bit once) error {
	if *o&bit != 0 {
		return errTwice
	}
	*o |= bit
	return nil
}

// image collects one image until its end: its id may come last.
type image struct {
	met                        once
	id                         schema.ID
	created                    micros
	width, height              count
	imageURI, thumbnailURI     text
	predictions, tags, regions int // rows the tables had when it began
}

func (d *Decoder) imageItem(j *jx.Decoder) error {
	d.at = place{image: d.at.image + 1, item: -1, offset: d.at.offset}
	d.image = image{predictions: d.predictions.n(), tags: d.tags.n(), regions: d.regions.n()}
	if err := d.expect(jx.Object); err != nil {
		return err
	}
	if d.known != nil || d.at.image < d.repeats {
		skip, err := d.isKnown()
		if err != nil {
			return err
		}
		if skip {
			return j.Skip()
		}
	}
	if err := j.ObjBytes(d.fields.image); err != nil {
		return err
	}
	d.at.field = nil
	if d.image.id.IsZero() {
		return missingError{"id"}
	}
	d.ids = append(d.ids, d.image.id)
	d.appendImage()
	return nil
}

// isKnown looks ahead for the image's id and reports whether the image is to
// be left out; then it is in d.ids.
func (d *Decoder) isKnown() (bool, error) {
	var id schema.ID
	err := d.jx.Capture(func(j *jx.Decoder) error {
		return j.ObjBytes(func(j *jx.Decoder, key []byte) error {
			d.enter(key)
			if string(key) != "id" {
				return j.Skip()
			}
			return d.id(&id)
		})
	})
	d.at.field = nil
	if err != nil || id.IsZero() {
		return false, err
	}
	if d.at.image >= d.repeats && !d.known(id) {
		return false, nil
	}
	d.ids = append(d.ids, id)
	return true, nil
}

func (d *Decoder) imageField(_ *jx.Decoder, key []byte) error {
	d.enter(key)
	img := &d.image
	switch string(key) {
	case "id":
		return first(img.met.mark(1), d.id, &img.id)
	case "created":
		return first(img.met.mark(2), d.time, &img.created)
	case "width":
		return first(img.met.mark(4), d.pixels, &img.width)
	case "height":
		return first(img.met.mark(8), d.pixels, &img.height)
	case "imageUri":
		return first(img.met.mark(16), d.uri, &img.imageURI)
	case "thumbnailUri":
		return first(img.met.mark(32), d.uri, &img.thumbnailURI)
	case "predictions":
		return d.list(img.met.mark(64), "predictions", d.fields.predictionItem)
	case "tags":
		return d.list(img.met.mark(128), "tags", d.fields.tagItem)
	case "regions":
		return d.list(img.met.mark(256), "regions", d.fields.regionItem)
	}
	return d.skipUnknown()
}

// first reads a value into its place unless there is an error already.
func first[T any](err error, read func(*T) error, into *T) error {
	if err != nil {
		return err
	}
	return read(into)
}

func (d *Decoder) list(err error, name string, item func(*jx.Decoder) error) error {
	if err != nil {
		return err
	}
	if null, err := d.isNull(); null || err != nil {
		return err
	}
	if err := d.expect(jx.Array); err != nil {
		return err
	}
	d.at.list, d.at.item, d.at.field = name, -1, nil
	if err := d.jx.Arr(item); err != nil {
		return err
	}
	d.at.list = ""
	return nil
}

// appendImage writes the image's own row, and its id beside the rows its
// lists have given.
func (d *Decoder) appendImage() {
	img := &d.image
	var buf [36]byte
	id := img.id.Append(buf[:0])
	c := &d.images
	c.index.append(int32(c.id.len()))
	c.exportID.repeat(d.exportID, 1)
	c.id.append(id)
	img.created.appendTo(c.created)
	c.width.appendIf(img.width.present, img.width.value)
	c.height.appendIf(img.height.present, img.height.value)
	c.imageURI.appendText(img.imageURI)
	c.thumbnailURI.appendText(img.thumbnailURI)
	d.predictions.appendImage(d.exportID, id, img.predictions)
	d.tags.appendImage(d.exportID, id, img.tags)
	d.regions.appendImage(d.exportID, id, img.regions)
}

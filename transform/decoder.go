package transform

import (
	"bytes"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/schema"
)

// Options are the same for every page of an export.
type Options struct {
	ExportID schema.ID
	KeepSAS  bool // keep the query string of URIs, which holds a secret that differs at every call
	Memory   memory.Allocator
}

// Decoder turns pages into records, one page after the other. It is not safe
// for concurrent use; each worker has its own.
type Decoder struct {
	opts     Options
	exportID []byte
	maxPage  int // bytes; Arrow's offsets are int32

	images                     imageRows
	predictions, tags, regions *childRows

	// The page being read.
	scanner
	repeated int
	known    func(schema.ID) bool
	ids      []schema.ID
	idsHint  int // the most images that a page had so far
}

// NewDecoder returns a decoder.
func NewDecoder(opts Options) *Decoder {
	if opts.Memory == nil {
		opts.Memory = memory.DefaultAllocator
	}
	d := &Decoder{
		opts: opts, exportID: opts.ExportID.Append(nil), maxPage: math.MaxInt32,
		predictions: newPredictionRows(opts.ExportID), tags: newTagRows(opts.ExportID), regions: newRegionRows(opts.ExportID),
	}
	d.images = newImageRows(opts, d.predictions, d.tags, d.regions)
	return d
}

// Decode reads one page: a JSON array of images, the body of
// GetImagePerformances. The first images, as many as are repeated from the page
// before, and those for which known returns true are listed in Records.IDs but
// get no rows; known may be nil. An error is an [*Error], and then no row of the
// page exists. body is not kept.
func (d *Decoder) Decode(body []byte, repeated int, known func(schema.ID) bool) (*Records, error) {
	d.scanner = scanner{body: body}
	d.repeated, d.known, d.ids = repeated, known, make([]schema.ID, 0, d.idsHint)
	err := d.page()
	records := &Records{IDs: d.ids, Repeated: min(repeated, len(d.ids)), Unknown: d.unknown}
	d.idsHint = max(d.idsHint, len(d.ids))
	d.scanner, d.known, d.ids = scanner{}, nil, nil
	if err == nil {
		err = guard(func() { d.fill(records) })
	}
	if err != nil {
		records.Release()
		for _, r := range []*rows{d.images.rows, d.predictions.rows, d.tags.rows, d.regions.rows} {
			r.discard()
		}
		return nil, locate(err, "", 0)
	}
	return records, nil
}

func (d *Decoder) fill(records *Records) {
	records.Images = d.images.record(d.opts.Memory)
	records.Predictions = d.predictions.record(d.opts.Memory)
	records.Tags = d.tags.record(d.opts.Memory)
	records.Regions = d.regions.record(d.opts.Memory)
}

func (d *Decoder) page() error {
	if len(d.body) > d.maxPage {
		return fmt.Errorf("the page has %d bytes, more than the %d that Arrow's offsets can count", len(d.body), d.maxPage)
	}
	start := bytes.TrimLeft(d.body, " \t\r\n\ufeff")
	switch {
	case len(start) == 0:
		return errEmpty
	case start[0] == '<':
		return locate(errHTML, "", len(d.body)-len(start))
	}
	if err := d.open('[', "an array"); err != nil {
		return locate(err, "", d.pos)
	}
	for n := 0; ; n++ {
		more, err := d.more(']', n)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		d.peek()
		start := d.pos
		if err := d.image(n); err != nil {
			e := locate(err, "", start)
			e.Image = n
			return e
		}
	}
	if d.peek(); d.pos < len(d.body) {
		return locate(errTrailing, "", d.pos)
	}
	return nil
}

// image reads the n-th image of the page.
func (d *Decoder) image(n int) error {
	if n < d.repeated || d.known != nil {
		start := d.pos
		if skipped, err := d.skipKnown(n); skipped || err != nil {
			return err
		}
		d.pos = start
	}
	if err := d.images.read(&d.scanner); err != nil {
		return err
	}
	d.ids = append(d.ids, d.images.id.last)
	var buf [36]byte
	id := d.images.id.last.Append(buf[:0])
	d.images.exportID.repeat(d.exportID, 1)
	d.images.index.append(int32(d.images.index.len()))
	for _, c := range []*childRows{d.predictions, d.tags, d.regions} {
		c.endImage(d.exportID, id)
	}
	return nil
}

// skipKnown reads an image that is to be left out, and lists its id. It may stop
// anywhere in another image, as in one without an id.
func (d *Decoder) skipKnown(n int) (skipped bool, err error) {
	if err := d.open('{', "an object"); err != nil {
		return false, err
	}
	for i := 0; ; i++ {
		start := d.pos
		key, more, err := d.key(i)
		if err != nil || !more {
			return skipped, err
		}
		name, isNull := clip(key), d.peek() == 'n'
		switch {
		case name != imageIDName || isNull && !skipped:
			err = d.skip(d.images.depth)
		case skipped:
			err = errTwice
		default:
			var id schema.ID
			if id, err = d.id(); err == nil {
				if n >= d.repeated && !d.known(id) {
					return false, nil
				}
				d.ids = append(d.ids, id)
				skipped = true
			}
		}
		if err != nil {
			return false, d.locateField(err, name, start)
		}
	}
}

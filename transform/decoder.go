package transform

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/go-faster/jx"

	"github.com/cvexport/cvexport/schema"
)

// Options are what an export asks of every page.
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

	images      imageColumns
	predictions predictionColumns
	tags        tagColumns
	regions     regionColumns

	// The page being read.
	jx      *jx.Decoder
	body    []byte
	repeats int
	known   func(schema.ID) bool
	ids     []schema.ID
	most    int // images that a page had so far
	unknown map[string]int

	quick quick

	// Where the reading is, for errors.
	at     place
	image  image
	item   item
	fields callbacks
}

// callbacks are the decoder's own methods as values: made once, because a
// method value made for every object would be an allocation for every object.
type callbacks struct {
	image, prediction, tag, region, box         func(*jx.Decoder, []byte) error
	images, predictionItem, tagItem, regionItem func(*jx.Decoder) error
}

// NewDecoder returns a decoder.
func NewDecoder(opts Options) *Decoder {
	if opts.Memory == nil {
		opts.Memory = memory.DefaultAllocator
	}
	d := &Decoder{
		opts:        opts,
		exportID:    opts.ExportID.Append(nil),
		images:      newImageColumns(opts.ExportID),
		predictions: newPredictionColumns(opts.ExportID),
		tags:        newTagColumns(opts.ExportID),
		regions:     newRegionColumns(opts.ExportID),
		jx:          jx.DecodeBytes(nil),
	}
	d.quick.decoder = d
	d.fields = callbacks{
		image: d.imageField, prediction: d.predictionField, tag: d.tagField, region: d.regionField, box: d.boxField,
		images: d.imageItem, predictionItem: d.predictionItem, tagItem: d.tagItem, regionItem: d.regionItem,
	}
	return d
}

// Decode reads one page: a JSON array of images, the body of
// GetImagePerformances. The first images, as many as are repeated from the page
// before, and those for which known returns true are listed in Records.IDs but
// get no rows; known may be nil. An error is an [*Error], and then no row of the
// page exists. body is not kept.
func (d *Decoder) Decode(body []byte, repeated int, known func(schema.ID) bool) (*Records, error) {
	d.jx.ResetBytes(body)
	d.body, d.repeats, d.known, d.unknown = body, repeated, known, nil
	d.ids = make([]schema.ID, 0, d.most)
	d.at = place{image: -1, item: -1}
	err := d.page()
	d.body, d.known = nil, nil
	if err != nil {
		d.discard()
		return nil, err
	}
	d.most = max(d.most, len(d.ids))
	return &Records{
		Images: d.record(d.images.rows), Predictions: d.record(d.predictions.rows), Tags: d.record(d.tags.rows), Regions: d.record(d.regions.rows),
		IDs: d.ids, Repeated: min(repeated, len(d.ids)), Unknown: d.unknown,
	}, nil
}

func (d *Decoder) record(r *rows) arrow.RecordBatch { return r.record(d.opts.Memory) }

// discard drops what was read of a page.
func (d *Decoder) discard() {
	d.ids = d.ids[:0]
	for _, r := range d.tables() {
		r.discard()
	}
}

func (d *Decoder) tables() [4]*rows {
	return [...]*rows{d.images.rows, d.predictions.rows, d.tags.rows, d.regions.rows}
}

func (d *Decoder) page() error {
	trimmed := bytes.TrimLeft(d.body, " \t\r\n\ufeff")
	switch {
	case len(trimmed) == 0:
		return &Error{Image: -1, Err: errEmpty}
	case trimmed[0] == '<':
		return &Error{Image: -1, Offset: len(d.body) - len(trimmed), Err: errHTML}
	case !utf8.Valid(d.body):
		return &Error{Image: -1, Offset: invalidUTF8(d.body), Err: errUTF8}
	}
	if d.known == nil {
		if d.quick.page() {
			return nil
		}
		d.discard()
	}
	if err := d.jx.Arr(d.fields.images); err != nil {
		return d.locate(err)
	}
	d.at = place{image: -1, item: -1, offset: len(d.body)}
	if d.jx.Next() != jx.Invalid || !errors.Is(d.jx.Skip(), io.EOF) { // what is cut off ends in io.EOF, too
		return d.locate(errTrailing)
	}
	return nil
}

func invalidUTF8(b []byte) int {
	for i := 0; ; {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size <= 1 {
			return i
		}
		i += size
	}
}

package transform

import (
	"bytes"
	"cmp"
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
	mem     memory.Allocator
	maxPage int // bytes; Arrow's offsets are int32

	images                     *rows
	predictions, tags, regions *itemRows
	image, ahead               object // ahead has only the id of an image
	imageIndex                 column[int32]

	// The page being read.
	scanner
	repeated int
	known    func(schema.ID) bool
	ids      []schema.ID
	id       schema.ID // of the image being read
	idsHint  int       // the most images that a page had so far
}

// NewDecoder returns a decoder.
func NewDecoder(opts Options) *Decoder {
	d := &Decoder{
		mem: cmp.Or(opts.Memory, memory.DefaultAllocator), maxPage: math.MaxInt32, images: newRows(schema.Images, opts.ExportID),
		predictions: newPredictionRows(opts.ExportID), tags: newTagRows(opts.ExportID), regions: newRegionRows(opts.ExportID),
	}
	add(d.images, "image_index", &d.imageIndex)
	d.image = object{fields: d.imageFields(opts)}
	d.ahead = object{fields: []field{{imageIDName, idAhead{d}, false}}}
	return d
}

// Decode reads one page: a JSON array of images, the body of
// GetImagePerformances. The first images, as many as are repeated from the page
// before, and those for which known returns true are listed in Records.IDs but
// get no rows; known may be nil. An error is an [*Error], and then no row of the
// page exists. body is not kept.
func (d *Decoder) Decode(body []byte, repeated int, known func(schema.ID) bool) (*Records, error) {
	d.scanner = scanner{body: body, unknown: map[string]int{}}
	d.repeated, d.known, d.ids = repeated, known, make([]schema.ID, 0, d.idsHint)
	d.page()
	records := &Records{IDs: d.ids, Repeated: min(repeated, len(d.ids)), Unknown: d.unknown}
	records.Unread = d.unread
	if d.err == nil {
		d.check(guard(func() error {
			records.Images = d.images.record(d.mem)
			records.Predictions = d.predictions.record(d.mem)
			records.Tags = d.tags.record(d.mem)
			records.Regions = d.regions.record(d.mem)
			return nil
		}))
	}
	err := d.err
	d.idsHint = max(d.idsHint, len(d.ids))
	d.scanner, d.known, d.ids = scanner{}, nil, nil
	if err != nil {
		records.Release()
		for _, r := range []*rows{d.images, d.predictions.rows, d.tags.rows, d.regions.rows} {
			r.discard()
		}
		err.within("", 0)
		return nil, err
	}
	return records, nil
}

func (d *Decoder) page() {
	text := bytes.TrimLeft(d.body, " \t\r\n\ufeff")
	start := len(d.body) - len(text)
	switch {
	case len(d.body) > d.maxPage:
		d.check(fmt.Errorf("the page has %d bytes, more than the %d that Arrow's offsets can count", len(d.body), d.maxPage))
	case len(text) == 0:
		d.check(errEmpty)
	case text[0] == '<':
		d.check(errHTML)
	case d.open('[', "an array"):
		for n := 0; d.more(']', n); n++ {
			d.peek()
			start := d.pos
			if d.readImage(n); d.err != nil {
				d.err.Image = n
				d.err.within("", start)
			}
		}
		if d.peek(); d.pos < len(d.body) {
			start = d.pos
			d.check(errTrailing)
		}
	}
	if d.err != nil {
		d.err.within("", start)
	}
}

// readImage reads the n-th image of the page.
func (d *Decoder) readImage(n int) {
	if n < d.repeated || d.known != nil {
		ahead := d.scanner
		ahead.unknown = nil
		d.id = schema.ID{}
		d.ahead.read(&ahead)
		hasID := !d.id.IsZero()
		if hasID && (n < d.repeated || d.known(d.id)) || !hasID && ahead.err != nil {
			ahead.unknown = d.unknown
			d.scanner = ahead
			d.ids = append(d.ids, d.id)
			return
		}
	}
	d.image.read(&d.scanner)
	d.ids = append(d.ids, d.id)
	d.imageIndex.append(int32(d.imageIndex.len()))
	var buf [36]byte
	for _, c := range []*itemRows{d.predictions, d.tags, d.regions} {
		c.endImage(d.id.Append(buf[:0]))
	}
}

// imageID reads the id of an image.
func (d *Decoder) imageID(s *scanner) []byte {
	d.id = s.id()
	return d.id.Append(s.scratch[:0])
}

// idAhead is the id of an image of which nothing else is read.
type idAhead struct{ *Decoder }

func (d idAhead) read(s *scanner) { d.id = s.id() }

func (d idAhead) appendNull() {}

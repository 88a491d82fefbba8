package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/transform"
)

// reading is an iteration on its way from the service to the spool files.
type reading struct {
	request  Request
	exportID schema.ID
	spools   *load.Spools
	tags     []extract.Tag // of the iteration, when all images were read

	images, pages, attempts int
	unknown                 map[string]int
}

// readImages reads every image into the spool. If the images do not add up,
// because the project changed meanwhile, it starts over a few times. The plan's
// tags are those that the images were read with.
func readImages(ctx context.Context, client *extract.Client, p *Plan, r Request, exportID schema.ID) (*reading, error) {
	for attempt := 1; ; attempt++ {
		read := &reading{request: r, exportID: exportID, unknown: map[string]int{}, attempts: attempt}
		counted := &p.Images
		if attempt > 1 || len(p.Filter) > 1 {
			counted = nil
		}
		err := read.run(ctx, client, *p, counted)
		if err == nil {
			return read, nil
		}
		read.close()
		if read.tags != nil {
			p.IterationTags = read.tags
		}
		var incomplete *extract.IncompleteError
		switch {
		case !errors.As(err, &incomplete):
			return nil, err
		case attempt == attempts:
			return nil, fmt.Errorf("%w (read %d times; the warehouse is as it was; try again when nobody changes the project)", err, attempt)
		}
		r.Log.Warn("the images do not add up; reading them again", "project", r.Project, "iteration", p.Iteration.ID, "attempt", attempt, "cause", incomplete.What)
		r.Progress.Restarted()
	}
}

func (read *reading) run(ctx context.Context, client *extract.Client, p Plan, counted *int) (err error) {
	r := read.request
	if read.spools, err = load.NewSpools(r.SpoolDir, read.exportID); err != nil {
		return err
	}
	decoders := newDecoders(transform.Options{ExportID: read.exportID, KeepSAS: r.KeepSAS, Memory: r.Memory})

	listing := extract.Listing{
		Project: r.Project, Iteration: p.Iteration.ID, Tags: p.tagIDs(),
		Concurrency: r.Concurrency, Counted: counted, Planned: r.Progress.Planned,
		After: func(ctx context.Context) error { return read.sameTags(ctx, client, p) },
	}
	images, err := extract.Read(ctx, client, listing, decoders.decode, read.deliver)
	if err == nil && images != read.images {
		err = &extract.IncompleteError{Project: r.Project, Iteration: p.Iteration.ID, Page: -1,
			What: fmt.Sprintf("%d distinct images were listed and %d written", images, read.images)}
	}
	return err
}

// sameTags looks whether somebody changed labels or tags meanwhile: then rows of
// the first pages say one thing and those of the last another.
func (read *reading) sameTags(ctx context.Context, client *extract.Client, p Plan) (err error) {
	if read.tags, err = client.Tags(ctx, read.request.Project, p.Iteration.ID); err != nil {
		return err
	}
	if !reflect.DeepEqual(read.tags, p.IterationTags) {
		return &extract.IncompleteError{Project: read.request.Project, Iteration: p.Iteration.ID, Page: -1,
			What: "its tags, or how many images have them, have changed meanwhile"}
	}
	return nil
}

// deliver appends one page to the spool. Pages come in order.
func (read *reading) deliver(page *transform.Records) error {
	defer page.Release()
	n := int(page.Images.NumRows())
	if read.images > maxImages-n {
		return fmt.Errorf("project %s has more than %d images, which image_index cannot number", read.request.Project, maxImages)
	}
	if err := page.NumberImages(read.request.Memory, int32(read.images)); err != nil {
		return fmt.Errorf("numbering the images of page %d: %w", read.pages, err)
	}
	for _, t := range []schema.Table{schema.Images, schema.Predictions, schema.Tags, schema.Regions} {
		if err := read.spools.Append(t, page.ByTable(t.Name)); err != nil {
			return err
		}
	}
	for path, count := range page.Unknown {
		const most = 100 // names; each page may have others
		if _, known := read.unknown[path]; !known && len(read.unknown) >= most {
			path = "(others)"
		}
		read.unknown[path] += count
	}
	read.images += n
	read.pages++
	read.request.Progress.Delivered(len(page.IDs) - page.Repeated)
	return nil
}

// finish completes the spool files, in the order in which they are published.
func (read *reading) finish(tagPerformance arrow.RecordBatch) ([]*load.Table, error) {
	defer tagPerformance.Release()
	if err := read.spools.Append(schema.TagPerformance, tagPerformance); err != nil {
		return nil, err
	}
	return read.spools.Finish()
}

// close removes the spool files.
func (read *reading) close() {
	if read.spools == nil {
		return
	}
	if err := read.spools.Close(); err != nil {
		read.request.Log.Warn("removing the spool files", "error", err)
	}
}

// decoders lends each worker a decoder of its own; there are never more than workers.
type decoders struct {
	opts transform.Options
	idle chan *transform.Decoder
}

func newDecoders(opts transform.Options) *decoders {
	const most = 64
	return &decoders{opts: opts, idle: make(chan *transform.Decoder, most)}
}

func (d *decoders) decode(p extract.Page) (*transform.Records, error) {
	var decoder *transform.Decoder
	select {
	case decoder = <-d.idle:
	default:
		decoder = transform.NewDecoder(d.opts)
	}
	defer func() {
		select {
		case d.idle <- decoder:
		default: // there are enough
		}
	}()
	return decoder.Decode(p.Body, p.Repeated, p.Known)
}

// tagPerformances joins the service's figures with its tags: one row a tag,
// in the order of the figures, then the tags that have none.
func tagPerformances(mem memory.Allocator, exportID schema.ID, p extract.Performance, tags []extract.Tag) (arrow.RecordBatch, error) {
	byID := make(map[schema.ID]extract.Tag, len(tags))
	for _, tag := range tags {
		byID[tag.ID] = tag
	}
	left := maps.Clone(byID)
	var rows []transform.TagPerformance
	for _, figures := range p.Tags {
		row := transform.TagPerformance{
			ID: figures.ID, Name: figures.Name,
			Precision: figures.Precision, PrecisionDeviation: figures.PrecisionStdDeviation,
			Recall: figures.Recall, RecallDeviation: figures.RecallStdDeviation,
			AveragePrecision: figures.AveragePrecision,
		}
		if tag, ok := byID[figures.ID]; ok {
			row.Name, row.Type, row.ImageCount = &tag.Name, tag.Type, tag.ImageCount
		}
		delete(left, figures.ID)
		rows = append(rows, row)
	}
	for _, tag := range tags {
		if _, ok := left[tag.ID]; ok {
			rows = append(rows, transform.TagPerformance{ID: tag.ID, Name: &tag.Name, Type: tag.Type, ImageCount: tag.ImageCount})
		}
	}
	return transform.TagPerformances(mem, exportID, rows)
}

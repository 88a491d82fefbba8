package jobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
	"github.com/cvexport/cvexport/transform"
)

// reading reads an iteration from the service into spool files.
type reading struct {
	request   Request
	iteration schema.ID
	exportID  schema.ID
	spools    *load.Spools
	tags      []extract.Tag // of the iteration, after all images were read

	images, pages, attempts int // so far
	boxes                   int // of predictions, and regions, so far
	unknown                 map[string]int
	unread                  map[string]string // as in transform.Records
}

// readImages reads every image into the spool. It starts over if the project changed
// meanwhile, up to maxAttempts. It sets the plan's tags to those the images have.
func readImages(ctx context.Context, client *extract.Client, p *Plan, r Request, exportID schema.ID) (*reading, error) {
	unread := map[string]string{} // of all attempts, so that each is told once
	for attempt := 1; ; attempt++ {
		read := &reading{request: r, iteration: p.Iteration.ID, exportID: exportID, unknown: map[string]int{}, unread: unread, attempts: attempt}
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
		case attempt == maxAttempts:
			return nil, fmt.Errorf("%w (read %d times; the warehouse is unchanged; try again when nobody changes the project)", err, attempt)
		}
		r.Log.Warn("the images are inconsistent; reading them again", "project", r.Project, "iteration", p.Iteration.ID, "attempt", attempt, "cause", incomplete.What)
		r.Progress.Restarted()
	}
}

func (read *reading) run(ctx context.Context, client *extract.Client, p Plan, counted *int) (err error) {
	r := read.request
	if read.spools, err = load.NewSpools(r.SpoolDir, schema.Evaluation, read.exportID); err != nil {
		return err
	}
	decoders := newDecoders(transform.Options{ExportID: read.exportID, KeepSAS: r.KeepSAS, Memory: r.Memory})

	listing := extract.Listing{
		Project: r.Project, Iteration: p.Iteration.ID, Tags: p.tagIDs(),
		Concurrency: r.Concurrency, Counted: counted, Planned: r.Progress.Planned,
		After: func(ctx context.Context) error { return read.checkTags(ctx, client, p) },
	}
	images, err := extract.Read(ctx, client, listing, decoders.decode, read.deliver)
	if err == nil && images != read.images {
		err = &extract.IncompleteError{Project: r.Project, Iteration: p.Iteration.ID, Page: -1,
			What: fmt.Sprintf("%d distinct images were listed and %d written", images, read.images)}
	}
	return err
}

// checkTags fails if labels or tags changed since the plan was made: the first and the
// last pages would then contradict each other. The service may list tags in any order.
func (read *reading) checkTags(ctx context.Context, client *extract.Client, p Plan) (err error) {
	if read.tags, err = client.Tags(ctx, read.request.Project, p.Iteration.ID); err != nil {
		return err
	}
	if !reflect.DeepEqual(byID(read.tags), byID(p.IterationTags)) {
		return &extract.IncompleteError{Project: read.request.Project, Iteration: p.Iteration.ID, Page: -1,
			What: "its tags, or how many images have them, have changed meanwhile"}
	}
	return nil
}

func byID(tags []extract.Tag) []extract.Tag {
	return slices.SortedFunc(slices.Values(tags), func(a, b extract.Tag) int { return bytes.Compare(a.ID[:], b.ID[:]) })
}

// deliver appends one page to the spool. Pages arrive in order.
func (read *reading) deliver(page *transform.Records) error {
	defer page.Release()
	n := int(page.Images.NumRows())
	if read.images > maxImages-n {
		return fmt.Errorf("project %s has more than %d images, which image_index cannot number", read.request.Project, maxImages)
	}
	if err := page.NumberImages(read.request.Memory, int32(read.images)); err != nil {
		return fmt.Errorf("numbering the images of page %d: %w", read.pages, err)
	}
	for _, t := range schema.Evaluation.Data {
		if rec := page.ByTable(t.Name); rec != nil {
			read.boxes += boxes(t, rec)
			if err := read.spools.Append(t, rec); err != nil {
				return err
			}
		}
	}
	for path, count := range page.Unknown {
		const maxPaths = 100 // each page may have others
		if _, known := read.unknown[path]; !known && len(read.unknown) >= maxPaths {
			path = "(others)"
		}
		read.unknown[path] += count
	}
	for path, text := range page.Unread {
		if _, told := read.unread[path]; !told {
			read.unread[path] = text
			read.request.Log.Warn("a time of an image cannot be read and is null; want 2020-02-11T16:43:08.98791, with or without a zone",
				"project", read.request.Project, "iteration", read.iteration, "page", read.pages, "field", path, "text", text)
		}
	}
	read.images += n
	read.pages++
	read.request.Progress.Delivered(len(page.IDs) - page.Repeated)
	return nil
}

// finish completes the spool files and returns them in publishing order.
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

// decoders is a pool: each worker takes a decoder for one page.
type decoders struct {
	opts transform.Options
	idle chan *transform.Decoder
}

func newDecoders(opts transform.Options) *decoders {
	const maxIdle = 64
	return &decoders{opts: opts, idle: make(chan *transform.Decoder, maxIdle)}
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
		default: // the pool is full
		}
	}()
	return decoder.Decode(p.Body, p.Repeated, p.Known)
}

// tagPerformances joins the service's figures with its tags: one row per tag, in the
// order of the figures, followed by the tags without figures.
func tagPerformances(mem memory.Allocator, exportID schema.ID, p extract.Performance, tags []extract.Tag) (arrow.RecordBatch, error) {
	known := make(map[schema.ID]extract.Tag, len(tags))
	for _, tag := range tags {
		known[tag.ID] = tag
	}
	left := maps.Clone(known)
	var rows []transform.TagPerformance
	for _, figures := range p.Tags {
		row := transform.TagPerformance{
			ID: figures.ID, Name: figures.Name,
			Precision: figures.Precision, PrecisionDeviation: figures.PrecisionStdDeviation,
			Recall: figures.Recall, RecallDeviation: figures.RecallStdDeviation,
			AveragePrecision: figures.AveragePrecision,
		}
		if tag, ok := known[figures.ID]; ok {
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

// Package report makes an HTML page about the iterations of a warehouse. Every figure
// comes from the views and evaluation functions of package schema, and COCO's from
// package evaluate; the page filters and looks up, but computes nothing itself.
package report

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/cvexport/cvexport/internal/analysis/rows"
)

// Options choose what a page shows.
type Options struct {
	Project   string   // a name or an id, as [names.Find] takes it; empty: the warehouse's only project
	Iteration string   // a name or an id; empty: the last one trained
	Compare   string   // a name or an id; empty: the one trained before
	Lenient   bool     // ignore Compare if it is the iteration itself
	Threshold *float64 // where the slider starts; nil: the threshold of the service's figures
	Overlap   *float64 // of a detector's boxes; nil: the overlap of the service's figures
	Pictures  Pictures // nil: outlines only

	PictureMemory int // MiB; 0 for [DefaultPictureMemory]
}

// connections is how many thresholds are evaluated at once.
const connections = 4

// Load computes a page from a warehouse in DuckDB that has the tables and views of
// package schema. It creates the functions, and replaces views by copies that are
// faster, so the database must not be used for anything else.
func Load(ctx context.Context, db *sql.DB, o Options) (_ *Page, err error) {
	db.SetMaxOpenConns(connections + 1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	l := &loader{warehouse: warehouse{ctx: ctx, conn: conn}, db: db, image: map[int64]int{}}
	l.page.Shared, l.page.Changes, l.page.Notes = []shared{}, []changes{}, []string{}
	l.page.Tags, l.page.Images = []Tag{}, []Image{}
	if err := l.choose(o); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"evaluating by COCO's rules", l.readCOCO},
		{"copying the tables", l.copyTables},
		{"creating the functions", l.makeFunctions},
		{"looking for wrong labels", l.keepSuspects},
		{"judging the predictions", l.keepOutcomes},
		{"reading the trend and the tags", l.readMetrics},
		{"choosing the two iterations", func() error { return l.keepOnly(l.both()) }},
		{"evaluating the curves", l.keepCurves},
		{"reading the curves", l.readCurves},
		{"comparing the iterations", l.keepChanges},
		{"reading the comparison", l.readComparison},
		{"judging the iterations", l.readVerdict},
		{"reading the changes", l.readChanges},
		{"reading what was wrong before", l.readWrongBefore},
		{"choosing the iteration", func() error { return l.keepOnly(rows.Quote(l.shown().ID)) }},
		{"reading the mistakes", l.readMistakes},
		{"reading the images", l.readImages},
	} {
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("project %s, iteration %s: %s: %w", l.page.Project.ID, l.shown().ID, step.what, err)
		}
	}
	if o.Pictures != nil {
		if err := l.addPictures(o.Pictures, o.PictureMemory); err != nil {
			return nil, err
		}
	}
	return &l.page, nil
}

// loader fills a page.
type loader struct {
	warehouse
	db    *sql.DB
	page  Page
	tags  map[string]int    // a tag's position in the page, by id
	image map[int64]int     // an image's position in the page, by its number
	uris  []imageURIs       // of the page's images
	fixed map[imageTag]bool // in a list of fixed images
}

func (l *loader) shown() Iteration { return l.page.Iterations[l.page.Shown] }

// compared returns the iteration to compare with, if there is one.
func (l *loader) compared() (Iteration, bool) {
	if l.page.Compared < 0 {
		return Iteration{}, false
	}
	return l.page.Iterations[l.page.Compared], true
}

// choose finds the project and the iterations of the options.
func (l *loader) choose(o Options) (err error) {
	if l.page.Project, l.page.Iterations, l.page.Shown, err = Choose(l.ctx, l.conn, o.Project, o.Iteration); err != nil {
		return err
	}
	if l.page.Compared, err = findIteration(l.page.Project, l.page.Iterations, o.Compare, l.page.Shown-1); err != nil {
		return err
	}
	if l.page.Compared == l.page.Shown {
		if !o.Lenient {
			return fmt.Errorf("iteration %s: %w: an iteration other than itself to compare with", l.shown().ID, ErrChoice)
		}
		l.page.Compared = l.page.Shown - 1
	}
	it := l.shown()
	if other, ok := l.compared(); ok && other.IsDetector() != it.IsDetector() {
		if o.Compare != "" && !o.Lenient {
			return fmt.Errorf("iteration %s: %w: an iteration of the same kind to compare with: one of the two is a detector, the other a classifier", it.ID, ErrChoice)
		}
		l.page.Compared = -1
	}
	l.page.Kind = it.Kind
	l.dropForeignFigures()
	l.page.Overlap = it.OverlapThreshold
	if o.Overlap != nil {
		l.page.Overlap = *o.Overlap
	}
	start := it.ProbabilityThreshold
	if o.Threshold != nil {
		start = *o.Threshold
	}
	l.page.Thresholds, l.page.Start = grid(start)
	return nil
}

// dropForeignFigures leaves out the service's figures of iterations for which they were
// asked for at other thresholds than those of the iteration shown: side by side they
// would show the thresholds' difference.
func (l *loader) dropForeignFigures() {
	it, left := l.shown(), 0
	for n := range l.page.Iterations {
		other := &l.page.Iterations[n]
		overlaps := other.OverlapThreshold == it.OverlapThreshold || !other.IsDetector() // which has none
		if had := other.Precision != nil || other.Recall != nil || other.AveragePrecision != nil; had && !(overlaps && other.ProbabilityThreshold == it.ProbabilityThreshold) {
			other.Precision, other.Recall = nil, nil
			if !overlaps {
				other.AveragePrecision = nil
			}
			left++
		}
	}
	if left > 0 {
		l.page.Notes = append(l.page.Notes, "Figures of the service are left out where it was asked for them at other thresholds than those of this iteration: in "+strconv.Itoa(left)+" of the others.")
	}
}

// grid returns the slider's thresholds: every twentieth, and the one that it starts at.
func grid(start float64) (thresholds []float64, at int) {
	for k := 1; k < 20; k++ {
		thresholds = append(thresholds, float64(k)/20)
	}
	at, found := slices.BinarySearch(thresholds, start)
	if !found {
		thresholds = slices.Insert(thresholds, at, start)
	}
	return thresholds, at
}

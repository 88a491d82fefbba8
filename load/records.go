package load

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// ReadRecords reads the exports records of a warehouse, ordered by their keys, and no
// other object. It leaves out those that are damaged, or about which the store says no,
// and counts them; trouble of the store is an error.
func ReadRecords(ctx context.Context, s store.Store) (exports []Export, unread int, err error) {
	type place struct{ project, iteration schema.ID }
	var places []place
	for obj, err := range s.List(ctx, schema.Exports.Name+"/") {
		if err != nil {
			return nil, 0, fmt.Errorf("list table %s: %w", schema.Exports.Name, err)
		}
		if project, iteration, ok := schema.Exports.ParsePath(obj.Key); ok {
			places = append(places, place{project, iteration})
		}
	}
	read := make([]*Export, len(places))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxReads)
	for i, p := range places {
		group.Go(func() error {
			e, _, err := ReadExport(ctx, s, p.project, p.iteration)
			switch {
			case err == nil:
				read[i] = &e
			case !errors.Is(err, ErrDamaged) && !ofObject(err):
				return err
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, 0, err
	}
	for _, e := range read {
		if e == nil {
			unread++
			continue
		}
		exports = append(exports, *e)
	}
	return exports, unread, nil
}

// Names returns what records say about names.
func Names(exports []Export) (rows []names.Row) {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	for _, e := range exports {
		trained := e.TrainedAt
		if trained.IsZero() {
			trained = e.Created
		}
		rows = append(rows, names.Row{
			Project: e.Project, ProjectName: text(e.ProjectName), Finished: e.FinishedAt,
			Iteration: names.Item{ID: e.Iteration, Name: text(e.IterationName), PublishName: text(e.PublishName), Trained: trained},
		})
	}
	return rows
}

package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cvexport/cvexport/internal/analysis/cache"
	"github.com/cvexport/cvexport/internal/analysis/rows"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/schema"
)

// Narrow sets the Scope to a project and to iterations, each given by its id or by a name
// in the warehouse's exports, as [names.Scope] finds them. Ids alone read nothing. The
// error of a name is a [UsageError].
func (s *Source) Narrow(ctx context.Context, project string, iterations []string) error {
	p, ids, err := names.Scope(project, iterations, func() ([]names.Row, error) { return s.names(ctx) })
	if _, wrong := errors.AsType[*names.Error](err); wrong {
		return UsageErrorf("%w", err)
	}
	if err != nil {
		return err
	}
	s.Scope = cache.Scope{}
	if project != "" {
		s.Scope.Project = p.String()
	}
	for _, id := range ids {
		s.Scope.Iterations = append(s.Scope.Iterations, id.String())
	}
	return nil
}

// names reads the names in the exports table.
func (s *Source) names(ctx context.Context) (named []names.Row, err error) {
	warn := s.Warn
	s.Warn = func(any) {} // the question itself warns of the same
	defer func() { s.Warn = warn }()
	db, err := s.Open(ctx, func(name string) bool { return name == schema.Exports.Name })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var project, iteration string
	var trained *time.Time
	var r names.Row
	err = rows.Each(ctx, db, `
SELECT project_id, COALESCE(project_name, ''), iteration_id, COALESCE(iteration_name, ''), COALESCE(publish_name, ''), COALESCE(trained_at, created), finished_at
FROM exports ORDER BY ALL`,
		[]any{&project, &r.ProjectName, &iteration, &r.Iteration.Name, &r.Iteration.PublishName, &trained, &r.Finished},
		func() {
			r.Iteration.Trained = time.Time{}
			if trained != nil {
				r.Iteration.Trained = *trained
			}
			var errs [2]error
			r.Project, errs[0] = schema.ParseID(project)
			r.Iteration.ID, errs[1] = schema.ParseID(iteration)
			if errors.Join(errs[:]...) == nil { // else of no export of ours
				named = append(named, r)
			}
		})
	if err != nil {
		return nil, fmt.Errorf("reading the names: %w", err)
	}
	return named, nil
}

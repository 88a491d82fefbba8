package jobs

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/schema"
)

// domainKind returns the kind of model that the iteration's domain is for, or the
// project's if the iteration has none. It is empty, with a warning, if the service
// does not say it: the rows decide then.
func (p *Plan) domainKind(ctx context.Context, client *extract.Client, log *slog.Logger) (kind string, err error) {
	domain := p.Iteration.DomainID
	if domain == nil {
		domain = p.Project.Settings.DomainID
	}
	if domain == nil {
		err = errors.New("neither the iteration nor its project has a domain")
	} else {
		kind, err = client.ModelKind(ctx, *domain)
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		log.Warn("the service does not say whether the model classifies or detects: its rows decide", "project", p.Project.ID, "iteration", p.Iteration.ID, "cause", err)
	}
	return kind, nil
}

// modelKind returns what kind the model is: that of its domain, unless there are boxes,
// which only a detector has.
func (p *Plan) modelKind(domainKind string, boxes int, log *slog.Logger) string {
	switch {
	case boxes == 0 && domainKind != "":
		return domainKind
	case boxes == 0:
		return schema.Classification
	case domainKind == schema.Classification:
		log.Warn("the domain is for classification, and there are boxes: the model counts as a detector", "project", p.Project.ID, "iteration", p.Iteration.ID, "boxes", boxes)
	}
	return schema.Detection
}

// boxes returns the number of boxes in a record of a table.
func boxes(t schema.Table, rec arrow.RecordBatch) int {
	column := slices.IndexFunc(t.Columns, func(c schema.Column) bool { return c.Name == "box_left" })
	if column < 0 {
		return 0
	}
	return rec.Column(column).Len() - rec.Column(column).NullN()
}

package jobs

import (
	"context"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// record returns the row of the exports table for this export. Publishing fills in
// its rows and objects.
func (p *Plan) record(id schema.ID, client *extract.Client, performance extract.Performance, r Request, started time.Time) load.Export {
	it := p.Iteration
	e := load.Export{
		ExportID: id, Project: r.Project, Iteration: it.ID,
		ProjectName: &p.Project.Name, IterationName: &it.Name,
		ClassificationType: it.ClassificationType, TrainingType: it.TrainingType, PublishName: it.PublishName,
		Status:  it.Status,
		Created: timeOf(it.Created), LastModified: timeOf(it.LastModified), TrainedAt: timeOf(it.TrainedAt),
		Precision: performance.Precision, Recall: performance.Recall, AveragePrecision: performance.AveragePrecision,
		ProbabilityThreshold: r.ProbabilityThreshold, OverlapThreshold: r.OverlapThreshold,
		EndpointHost: client.Host(), APIVersion: client.APIVersion(), ExporterVersion: r.Version,
		StartedAt: started.UTC(), FiguresMissing: performance.Missing,
	}
	if it.DomainID != nil {
		domain := it.DomainID.String()
		e.DomainID = &domain
	}
	for _, tag := range p.Filter {
		e.TagFilter = append(e.TagFilter, tag.ID.String())
	}
	return e
}

func timeOf(t *extract.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

// figuresNow asks once for the figures that an export lacks, and reports whether the
// service has more of them by now. Then the iteration is worth exporting again. If there
// is no answer, the export stays as it is, and the error says why.
func (n *nightly) figuresNow(ctx context.Context, project schema.ID, e *load.Export) (bool, error) {
	log := n.Log.With("project", project, "iteration", e.Iteration)
	performance, err := n.Client.Performance(ctx, project, e.Iteration, n.Request.ProbabilityThreshold, n.Request.OverlapThreshold)
	switch {
	case err != nil:
		log.Warn("asking again for the service's own figures; the export stays without them", "error", err)
	case performance.Missing == e.FiguresMissing, performance.Empty():
		log.Info("the service's own figures are still missing; the export stays without them", "cause", performance.Missing)
	default:
		log.Info("the service has more of its own figures by now: exporting the iteration again", "cause", e.FiguresMissing)
		return true, nil
	}
	return false, err
}

package jobs

import (
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

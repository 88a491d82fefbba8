package jobs

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

// record returns the row of the exports table for this export. Publishing fills in
// its rows and objects.
func (p *Plan) record(id schema.ID, client *extract.Client, performance extract.Performance, missing string, r Request, started time.Time) load.Export {
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
		StartedAt: started.UTC(), FiguresMissing: missing,
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

// missingFigures says how many of the figures of an iteration with so many tags the
// service did not give, and which. It is empty if it gave all.
func missingFigures(p extract.Performance, tags int) string {
	n, what := p.Lacking, p.Missing
	switch absent := tags - len(p.Tags); {
	case p.Empty():
		return what // of which there is no number
	case absent > 0:
		n += absent * extract.TagFigures
		if what == "" {
			what = "the service gave"
		} else {
			what += ","
		}
		what += fmt.Sprintf(" no figures of %d of the %d tags", absent, tags)
	case n == 0:
		return ""
	}
	return fmt.Sprintf("%d figures: %s", n, what)
}

// fewerMissing reports whether less is missing now than before, by what missingFigures
// returned.
func fewerMissing(now, before string) bool {
	count := func(text string) (n int) {
		if text == "" {
			return 0
		}
		if _, err := fmt.Sscanf(text, "%d figures:", &n); err != nil {
			return math.MaxInt // all of them
		}
		return n
	}
	return count(now) < count(before)
}

// trains reports whether the service evaluates a tag: one that is not Negative and has
// images.
func trains(tag extract.Tag) bool {
	return (tag.Type == nil || *tag.Type != "Negative") && (tag.ImageCount == nil || *tag.ImageCount > 0)
}

// figuresMissing is missingFigures of an export. That only tags without images or Negative
// ones are absent is as it should be.
func (p *Plan) figuresMissing(performance extract.Performance, rows int) string {
	if performance.Missing == "" && !slices.ContainsFunc(p.IterationTags, func(tag extract.Tag) bool {
		return trains(tag) && !slices.ContainsFunc(performance.Tags, func(f extract.TagPerformance) bool { return f.ID == tag.ID })
	}) {
		return ""
	}
	return missingFigures(performance, rows)
}

// figuresNow asks once for the figures that an export lacks, and reports whether the
// service has more of them by now. Then the iteration is worth exporting again. If there
// is no answer, the export stays as it is, and the error says why.
func (n *nightly) figuresNow(ctx context.Context, project schema.ID, e *load.Export) (bool, error) {
	log := n.Log.With("project", project, "iteration", e.Iteration)
	performance, err := n.Client.Performance(ctx, project, e.Iteration, n.Request.ProbabilityThreshold, n.Request.OverlapThreshold)
	missing := missingFigures(performance, int(e.Rows[schema.TagPerformance.Name]))
	switch {
	case err != nil:
		log.Warn("asking again for the service's own figures; the export stays without them", "error", err)
	case !fewerMissing(missing, e.FiguresMissing):
		log.Info("the service's own figures are still missing; the export stays without them", "cause", missing)
	default:
		log.Info("the service has more of its own figures by now: exporting the iteration again", "cause", e.FiguresMissing)
		return true, nil
	}
	return false, err
}

package jobs

import (
	"context"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/schema"
)

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

package main

import (
	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/jobs"
)

// how are the flags that say how an iteration is exported, whichever it is.
type how struct {
	threshold float64
	overlap   float64
	keepSAS   bool
}

func (h *how) addHow(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Float64Var(&h.threshold, "threshold", 0.5, "probability at which the service's own precision and recall are asked for")
	f.Float64Var(&h.overlap, "overlap-threshold", 0.3, "box overlap at which they are asked for")
	f.BoolVar(&h.keepSAS, "keep-sas", false, "keep the access tokens in image URIs; they are secrets, and expire after a day")
}

func (h *how) validate() error {
	for name, value := range map[string]float64{"threshold": h.threshold, "overlap-threshold": h.overlap} {
		if !(value >= 0 && value <= 1) {
			return usage("--%s %v is not between 0 and 1", name, value)
		}
	}
	return nil
}

func (h *how) request(r resource, c *common) jobs.Request {
	return jobs.Request{
		Concurrency: r.concurrency, ProbabilityThreshold: h.threshold, OverlapThreshold: h.overlap,
		KeepSAS: h.keepSAS, SpoolDir: c.spoolDir, Version: programVersion(),
	}
}

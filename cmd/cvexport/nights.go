package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/jobs"
)

// printNights says what a night did. It ends with the answer to "is it all there?".
func printNights(w io.Writer, format string, r *record) error {
	if format == "json" {
		return printJSON(w, r.report(context.Background(), failures(r.nights)))
	}
	var b strings.Builder
	total := map[jobs.Outcome]int64{}
	missing := int64(0) // projects or resources that were not looked at
	for _, n := range r.nights {
		fmt.Fprintf(&b, "%s: %s, %s in %s", n.Name, plural(int64(n.Wanted), "project"), plural(n.Stats.Requests, "request"), n.Finished.Sub(n.Started).Round(time.Millisecond))
		if n.Stats.Throttled > 0 {
			fmt.Fprintf(&b, ", throttled %s (%s of waiting)", plural(n.Stats.Throttled, "time"), n.Stats.Waited.Round(time.Second))
		}
		fmt.Fprintln(&b)
		if n.Err != nil {
			missing++
			fmt.Fprintf(&b, "  failed: %v\n", n.Err)
		}
		for _, p := range n.Projects {
			if p.Err != nil {
				missing++
			}
			printProject(&b, p, total)
		}
	}
	done := total[jobs.Exported] + total[jobs.Present] + total[jobs.Elsewhere] + total[jobs.Kept]
	open := total[jobs.Failed] + total[jobs.NotTried]
	fmt.Fprintln(&b)
	switch {
	case total[jobs.Due] > 0:
		fmt.Fprintf(&b, "Would export %s; %s there already.\n", plural(total[jobs.Due], "iteration"), are(done))
	case missing > 0:
		fmt.Fprintf(&b, "It is not known to be all there: %s could not be looked at; %s in the warehouse, %s not.\n", plural(missing, "project or resource"), are(done), are(open))
	case open > 0:
		fmt.Fprintf(&b, "It is not all there: of %s, %s missing or out of date.\n", plural(done+open, "completed iteration"), are(open))
	case total[jobs.OtherShard] > 0:
		fmt.Fprintf(&b, "All of this shard is there: %s in the warehouse; %s left to other shards.\n", are(done), are(total[jobs.OtherShard]))
	default:
		fmt.Fprintf(&b, "It is all there: %s in the warehouse, each whole.\n", plural(done, "completed iteration"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func are(n int64) string {
	if n == 1 {
		return "1 is"
	}
	return grouped(n) + " are"
}

func printProject(b *strings.Builder, p jobs.ProjectResult, total map[jobs.Outcome]int64) {
	counts := map[jobs.Outcome]int64{}
	for _, it := range p.Iterations {
		counts[it.Outcome]++
		total[it.Outcome]++
	}
	fmt.Fprintf(b, "  project %s (%s):", p.Name, p.ID)
	if p.Err != nil {
		fmt.Fprintf(b, " failed: %v\n", p.Err)
		return
	}
	said := false
	for _, o := range []struct {
		outcome jobs.Outcome
		text    string
	}{
		{jobs.Exported, "exported"}, {jobs.Due, "due"}, {jobs.Present, "there already"}, {jobs.Elsewhere, "exported by another run"}, {jobs.Kept, "kept as they were"},
		{jobs.Failed, "failed"}, {jobs.NotTried, "not tried"}, {jobs.OtherShard, "of other shards"}, {jobs.NotCompleted, "without results"}, {jobs.Archived, "gone at the service, kept here"},
	} {
		if n := counts[o.outcome]; n > 0 {
			sep := ","
			if !said {
				sep = ""
			}
			fmt.Fprintf(b, "%s %d %s", sep, n, o.text)
			said = true
		}
	}
	if !said {
		fmt.Fprint(b, " no iterations")
	}
	fmt.Fprintln(b)
	for _, it := range p.Iterations {
		switch it.Outcome {
		case jobs.Exported:
			fmt.Fprintf(b, "    exported  %s (%s): %s in %s\n", it.Name, it.ID, plural(it.Result.Export.Images, "image"), it.Result.Elapsed.Round(time.Millisecond))
		case jobs.Due:
			fmt.Fprintf(b, "    due       %s (%s)\n", it.Name, it.ID)
		case jobs.Failed:
			fmt.Fprintf(b, "    failed    %s (%s): %v\n", it.Name, it.ID, it.Err)
		case jobs.Kept:
			fmt.Fprintf(b, "    kept      %s (%s): %v\n", it.Name, it.ID, it.Err)
		}
	}
	if p.Listed >= jobs.AlmostFull {
		fmt.Fprintf(b, "    It has %d of the %d iterations that the service keeps: its oldest, %s (%s), is about to be deleted by someone.\n", p.Listed, extract.MaxIterations, p.Oldest.Name, p.Oldest.ID)
	}
}

package runreport

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/schema"
)

// PrintReport prints the report.
func (r *Run) PrintReport(w io.Writer, exitCode int, failed error) error {
	return WriteJSON(w, r.report(exitCode, failed))
}

// PrintSummary prints a summary. Its last line says whether the warehouse is complete.
func (r *Run) PrintSummary(w io.Writer) error {
	var b strings.Builder
	total := map[jobs.Outcome]int64{}
	unread := int64(0) // projects or resources
	told := newTold(r.Resources)
	for _, n := range r.Resources {
		fmt.Fprintf(&b, "%s: %s, %s in %s", printable.Line(n.Name), Count(int64(n.Wanted), "project"), Count(n.Stats.Requests, "request"), n.Finished.Sub(n.Started).Round(time.Millisecond))
		if n.Stats.Throttled > 0 {
			fmt.Fprintf(&b, ", throttled %s (waited %s)", Count(n.Stats.Throttled, "time"), n.Stats.Waited.Round(time.Second))
		}
		fmt.Fprintln(&b)
		if n.Err != nil {
			unread++
			fmt.Fprintf(&b, "  failed%s\n", told.once("resource "+printable.Line(n.Name), n.Err))
		}
		for _, p := range n.Projects {
			if p.Err != nil {
				unread++
			}
			writeProject(&b, p, total, told)
		}
	}
	done := total[jobs.Exported] + total[jobs.Present] + total[jobs.Elsewhere] + total[jobs.Kept]
	missing := total[jobs.Failed] + total[jobs.NotTried]
	fmt.Fprintln(&b)
	switch {
	case total[jobs.Due] > 0:
		fmt.Fprintf(&b, "Would export %s; %s already in the warehouse.\n", Count(total[jobs.Due], "iteration"), are(done))
	case unread > 0:
		fmt.Fprintf(&b, "Perhaps incomplete: %s could not be read. Of the other iterations %s in the warehouse, %s not.\n", Count(unread, "project or resource"), are(done), are(missing))
	case missing > 0:
		fmt.Fprintf(&b, "Incomplete: of %s, %s missing or out of date.\n", Count(done+missing, "completed iteration"), are(missing))
	case total[jobs.OtherShard] > 0:
		fmt.Fprintf(&b, "This shard is complete: %s in the warehouse; %s left to other shards.\n", are(done), are(total[jobs.OtherShard]))
	default:
		fmt.Fprintf(&b, "Complete: %s in the warehouse, each intact.\n", Count(done, "completed iteration"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Count writes a number with its noun: 1 image, 2,000 images.
func Count(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Group(n) + " " + noun + "s"
}

// Group writes 1234567 as 1,234,567.
func Group(n int64) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// message is the text of an error, whose further lines cannot be taken for others of the
// summary.
func message(err error) string {
	return strings.ReplaceAll(printable.Message(err.Error()), "\n", "\n        ")
}

// called is a name with its id, or what there is of the two.
func called(name string, id schema.ID) string {
	switch {
	case name == "":
		return id.String()
	case id.IsZero():
		return printable.Line(name)
	}
	return fmt.Sprintf("%s (%s)", printable.Line(name), id)
}

func are(n int64) string {
	if n == 1 {
		return "1 is"
	}
	return Group(n) + " are"
}

// outcomes are in the order in which a summary counts them.
var outcomes = []struct {
	outcome jobs.Outcome
	text    string
}{
	{jobs.Exported, "exported"}, {jobs.Due, "due"}, {jobs.Present, "already there"}, {jobs.Elsewhere, "exported by another run"}, {jobs.Kept, "kept as they were"},
	{jobs.Failed, "failed"}, {jobs.NotTried, "not tried"}, {jobs.OtherShard, "left to other shards"}, {jobs.NotCompleted, "without results"}, {jobs.Archived, "deleted at the service, kept here"},
}

// writeProject writes the lines of a project and adds its outcomes to total.
func writeProject(b *strings.Builder, p jobs.ProjectResult, total map[jobs.Outcome]int64, told *told) {
	counts := map[jobs.Outcome]int64{}
	for _, it := range p.Iterations {
		counts[it.Outcome]++
		total[it.Outcome]++
	}
	fmt.Fprintf(b, "  project %s: ", called(p.Name, p.ID))
	if p.Err != nil {
		fmt.Fprintf(b, "failed%s\n", told.once("project "+called(p.Name, p.ID), p.Err))
		return
	}
	var parts []string
	for _, o := range outcomes {
		if n := counts[o.outcome]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o.text))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no iterations"}
	}
	fmt.Fprintln(b, strings.Join(parts, ", "))
	for _, it := range p.Iterations {
		switch it.Outcome {
		case jobs.Exported:
			fmt.Fprintf(b, "    exported  %s (%s): %s in %s\n", printable.Line(it.Name), it.ID, Count(it.Result.Export.Images(), "image"), it.Result.Elapsed.Round(time.Millisecond))
			if why := it.Result.Export.FiguresMissing; why != "" {
				fmt.Fprintf(b, "              without the service's own figures, which the next run asks for again: %s\n", printable.Line(why))
			}
		case jobs.Due:
			fmt.Fprintf(b, "    due       %s (%s)\n", printable.Line(it.Name), it.ID)
		case jobs.Failed:
			fmt.Fprintf(b, "    failed    %s%s\n", called(it.Name, it.ID), told.once(called(it.Name, it.ID), it.Err))
		case jobs.Kept:
			fmt.Fprintf(b, "    kept      %s (%s): %s\n", printable.Line(it.Name), it.ID, message(it.Err))
		}
	}
	if p.Listed >= jobs.AlmostFull {
		fmt.Fprintf(b, "    It has %d of the %d iterations that the service keeps; the oldest, %s (%s), will soon have to be deleted.\n", p.Listed, extract.MaxIterations, printable.Line(p.Oldest.Name), p.Oldest.ID)
	}
}

// told tells each cause once.
type told struct {
	counts map[string]int    // of what failed for each cause
	first  map[string]string // what was the first to fail for it
}

func newTold(resources []jobs.ResourceResult) *told {
	t := &told{map[string]int{}, map[string]string{}}
	count := func(err, of error) {
		if err != nil && !errors.Is(of, err) { // that one is told of the resource
			t.counts[jobs.Cause(err)]++
		}
	}
	for _, n := range resources {
		count(n.Err, nil)
		for _, p := range n.Projects {
			count(p.Err, n.Err)
			for _, it := range p.Iterations {
				if it.Outcome == jobs.Failed {
					count(it.Err, n.Err)
				}
			}
		}
	}
	return t
}

// once returns an error for the end of the line of what has failed; or, if another has
// failed for the same reason before, only which.
func (t *told) once(what string, err error) string {
	cause := jobs.Cause(err)
	if first, before := t.first[cause]; before {
		return ": like " + first
	}
	t.first[cause] = what
	if others := t.counts[cause] - 1; others > 0 {
		return fmt.Sprintf(", and %s for the same reason: %s", Count(int64(others), "other"), message(err))
	}
	return ": " + message(err)
}

// PrintIteration prints one line about the only iteration of a project's result, as JSON or
// as text.
func PrintIteration(w io.Writer, asJSON bool, p jobs.ProjectResult) error {
	it := p.Iterations[0]
	if asJSON {
		return writeJSON(w, struct {
			Project     schema.ID `json:"project_id"`
			ProjectName string    `json:"project_name,omitempty"`
			reportIteration
		}{p.ID, p.Name, newReportIteration(it)}, "")
	}
	line := fmt.Sprintf("%s: iteration %s of project %s", it.Outcome, called(it.Name, it.ID), called(p.Name, p.ID))
	if it.Result != nil {
		line += fmt.Sprintf(": %s in %s", Count(it.Result.Export.Images(), "image"), it.Result.Elapsed.Round(time.Millisecond))
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

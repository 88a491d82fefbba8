package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// summary is the result of an export, printed as text or as JSON.
type summary struct {
	Project     schema.ID        `json:"project_id"`
	ProjectName string           `json:"project_name"`
	Iteration   schema.ID        `json:"iteration_id"`
	Name        string           `json:"iteration_name"`
	ModelKind   string           `json:"model_kind"`
	ExportID    schema.ID        `json:"export_id"`
	Outcome     jobs.Outcome     `json:"outcome"` // exported or, by another run, elsewhere
	Replaced    *replaced        `json:"replaced,omitempty"`
	Filter      []string         `json:"tag_filter,omitempty"`
	Rows        map[string]int64 `json:"rows"`
	Objects     []object         `json:"objects"`
	Pages       int              `json:"pages"`
	Attempts    int              `json:"attempts"`
	Requests    int64            `json:"requests"`
	Retries     int64            `json:"retries"`
	Throttled   int64            `json:"throttled"`
	WaitedSecs  float64          `json:"throttled_seconds"`
	Unknown     map[string]int   `json:"unknown_fields,omitempty"`

	Unread  map[string]string `json:"unread_times,omitempty"`
	Figures string            `json:"figures_missing,omitempty"`

	Seconds float64 `json:"seconds"`
	Query   string  `json:"query"`
}

type object struct {
	Table string `json:"table"`
	URL   string `json:"url"`
	Rows  int64  `json:"rows"`
	Bytes int64  `json:"bytes"`
}

type replaced struct {
	ExportID schema.ID `json:"export_id"`
	Images   int64     `json:"images"`
	Finished time.Time `json:"finished_at"`
	Filtered bool      `json:"filtered"`
}

func summarize(outcome jobs.Outcome, r jobs.Result, warehouse store.Store) summary {
	e := r.Export
	s := summary{
		Project: e.Project, Iteration: e.Iteration, ExportID: e.ExportID, Outcome: outcome,
		ProjectName: text(e.ProjectName), Name: text(e.IterationName), ModelKind: e.ModelKind,
		Replaced: replacedBy(r.Replaced), Filter: e.TagFilter, Rows: map[string]int64{},
		Pages: r.Pages, Attempts: r.Attempts,
		Requests: r.Stats.Requests, Retries: r.Stats.Retries, Throttled: r.Stats.Throttled, WaitedSecs: r.Stats.Waited.Seconds(),
		Unknown: r.Unknown, Unread: r.Unread, Figures: e.FiguresMissing, Seconds: r.Elapsed.Seconds(), Query: duckDBLine(warehouse),
	}
	for _, o := range e.Objects {
		s.Rows[o.Table] = o.Rows
		s.Objects = append(s.Objects, object{Table: o.Table, URL: warehouse.URL(o.Key), Rows: o.Rows, Bytes: o.Bytes})
	}
	return s
}

func replacedBy(e *load.Export) *replaced {
	if e == nil {
		return nil
	}
	return &replaced{ExportID: e.ExportID, Images: e.Images(), Finished: e.FinishedAt, Filtered: len(e.TagFilter) > 0}
}

// duckDBLine returns a shell command that runs a first query on the warehouse.
func duckDBLine(warehouse store.Store) string {
	glob := strings.ReplaceAll(warehouse.URL("predictions"), "'", "''") + "/**/*.parquet"
	return fmt.Sprintf(`duckdb -c "SELECT tag_name, count(*) AS predictions, round(avg(probability), 3) AS mean FROM read_parquet('%s', hive_partitioning = true, union_by_name = true) GROUP BY ALL ORDER BY ALL"`, glob)
}

func printResult(w io.Writer, format string, outcome jobs.Outcome, r jobs.Result, warehouse store.Store) error {
	s := summarize(outcome, r, warehouse)
	if format == "json" {
		return runreport.WriteJSON(w, s)
	}
	images := runreport.Count(r.Export.Images(), "image")
	s.Name, s.ProjectName = printable.Line(s.Name), printable.Line(s.ProjectName)
	if outcome == jobs.Elsewhere {
		_, err := fmt.Fprintf(w, "Another run exported iteration %s (%s) of project %s (%s) at the same time, so this one stopped: %s in %s as export %s.\n",
			s.Name, s.Iteration, s.ProjectName, s.Project, images, warehouse.URL(""), s.ExportID)
		return err
	}
	var b strings.Builder
	model := map[string]string{schema.Classification: "classifies images", schema.Detection: "detects objects"}[s.ModelKind]
	fmt.Fprintf(&b, "Exported iteration %s (%s), which %s, of project %s (%s) in %s.\n", s.Name, s.Iteration, model, s.ProjectName, s.Project, r.Elapsed.Round(time.Millisecond))
	if len(s.Filter) > 0 {
		images += " with any of " + runreport.Count(int64(len(s.Filter)), "tag")
	}
	fmt.Fprintf(&b, "Complete: %s, as many as the service counts, each once.\n\n", images)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "table\trows\tbytes\t")
	for _, o := range s.Objects {
		fmt.Fprintf(t, "%s\t%s\t%s\t\n", o.Table, runreport.Group(o.Rows), runreport.Group(o.Bytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(&b, "\n%s in %s, %s retried; %s throttled", runreport.Count(int64(s.Pages), "page"), runreport.Count(s.Requests, "request"), runreport.Group(s.Retries), runreport.Group(s.Throttled))
	if s.Throttled > 0 {
		fmt.Fprintf(&b, " (waited %s)", r.Stats.Waited.Round(time.Second))
	}
	fmt.Fprintln(&b, ".")
	if s.Attempts > 1 {
		fmt.Fprintf(&b, "The images changed while they were read, so it took %d attempts.\n", s.Attempts)
	}
	if len(s.Unknown) > 0 {
		fmt.Fprintf(&b, "Skipped %s that this version does not know: %s.\n", runreport.Count(int64(len(s.Unknown)), "field"), printable.Line(fmt.Sprint(s.Unknown)))
	}
	for _, field := range slices.Sorted(maps.Keys(s.Unread)) {
		fmt.Fprintf(&b, "Left null: times of %s that cannot be read, such as %s.\n", printable.Line(field), printable.Line(s.Unread[field]))
	}
	if s.Figures != "" {
		fmt.Fprintf(&b, "Left null: the service's own figures (%s). cvexport nightly asks for them again.\n", printable.Line(s.Figures))
	}
	if s.Replaced != nil {
		kind := ""
		if s.Replaced.Filtered {
			kind = ", limited to some tags"
		}
		fmt.Fprintf(&b, "It replaced export %s of %s (%s%s).\n", s.Replaced.ExportID, s.Replaced.Finished.Format(time.RFC3339), runreport.Count(s.Replaced.Images, "image"), kind)
	}
	fmt.Fprintf(&b, "It is in %s as export %s. To query it:\n  %s\n", warehouse.URL(""), s.ExportID, s.Query)
	_, err := io.WriteString(w, b.String())
	return err
}

// plan says what an export would do.
type plan struct {
	Project   schema.ID `json:"project_id"`
	Iteration schema.ID `json:"iteration_id"`
	Name      string    `json:"iteration_name"`
	Tags      []string  `json:"tag_filter,omitempty"`
	Replaces  *replaced `json:"replaces,omitempty"`
	Refused   string    `json:"refused,omitempty"`
	Writes    []string  `json:"writes"`
	Images    int       `json:"images"`
	Pages     int       `json:"pages"`
}

func printPlan(w io.Writer, format string, p jobs.Plan, warehouse store.Store, force bool) error {
	out := plan{
		Project: p.Project.ID, Iteration: p.Iteration.ID, Name: p.Iteration.Name,
		Replaces: replacedBy(p.Prior.Export()), Images: p.Images, Pages: p.Pages,
	}
	for _, tag := range p.Filter {
		out.Tags = append(out.Tags, tag.Name)
	}
	if p.Refusal != nil && !force {
		out.Refused = p.Refusal.Error()
	}
	for _, t := range schema.Tables() {
		out.Writes = append(out.Writes, warehouse.URL(t.Path(p.Project.ID, p.Iteration.ID)))
	}
	if format == "json" {
		return runreport.WriteJSON(w, out)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Would read iteration %s (%s) of project %s (%s):\n  %s in %s",
		printable.Line(p.Iteration.Name), p.Iteration.ID, printable.Line(p.Project.Name), p.Project.ID, runreport.Count(int64(p.Images), "image"), runreport.Count(int64(p.Pages), "page"))
	if len(out.Tags) > 0 {
		fmt.Fprintf(&b, ", only those tagged %s", printable.Line(strings.Join(out.Tags, " or ")))
	}
	fmt.Fprintln(&b, "\nand write:")
	for _, url := range out.Writes {
		fmt.Fprintln(&b, " ", url)
	}
	if out.Replaces != nil {
		fmt.Fprintf(&b, "It would replace export %s of %s (%s).\n", out.Replaces.ExportID, out.Replaces.Finished.Format(time.RFC3339), runreport.Count(out.Replaces.Images, "image"))
	}
	if out.Refused != "" {
		fmt.Fprintf(&b, "It would be refused: %s.\n", printable.Message(out.Refused))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func text(s *string) string { return *cmp.Or(s, new("")) }

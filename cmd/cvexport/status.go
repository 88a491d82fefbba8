package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// statusCommand says whether a warehouse is fresh and whole.
type statusCommand struct {
	common
	projects []string
	maxAge   time.Duration
}

func newStatus() *cobra.Command {
	c := &statusCommand{}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say whether the warehouse is fresh and whole, a line for each project",
		Long: `Status looks at the warehouse alone: it needs no key and asks the service nothing. A
line for each project says when its last whole export was made, how many iterations are
kept whole, how many exports are limited to some tags (their figures look better than
they are), and what is wrong. It looks at the records and at the objects' sizes and
checksums, and reads no rows: that is for cvexport verify.

The exit code is for monitors: 0 if nothing is wrong and, with --max-age, each project's
last whole export is younger; otherwise 1. A warehouse without exports is not whole. A
project in which nothing is trained any more grows old without anything being wrong:
choose the others with --project. What the service has and the warehouse lacks only the
service can say: see cvexport list.`,
		Example: `  cvexport status
  cvexport status --max-age 26h --project shop            # 1 if no export of it is younger
  cvexport status --warehouse gs://my-bucket/vision --output json
  cvexport status --config cvexport.yaml                  # every warehouse it names`,
		Args: cobra.NoArgs,
		RunE: c.withConfig(c.run),
	}
	c.addConfig(cmd)
	c.addWarehouse(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&c.projects, "project", nil, "only the project of this `name` or id; may be given several times")
	f.DurationVar(&c.maxAge, "max-age", 0, "how old the last whole export of each project may be, such as 26h (default: any age)")
	c.completeNames(cmd)
	return cmd
}

// warehouseStatus is the JSON output of a warehouse.
type warehouseStatus struct {
	Warehouse string          `json:"warehouse"`
	OK        bool            `json:"ok"` // fresh and whole
	Projects  []projectStatus `json:"projects"`
}

type projectStatus struct {
	load.ProjectStatus
	AgeSeconds *float64 `json:"age_seconds"` // of the last whole export; null without one
	Stale      bool     `json:"stale"`       // older than --max-age, or there is none

	age time.Duration
}

func (c *statusCommand) run(cmd *cobra.Command, resolved *config.Config) (err error) {
	if c.maxAge < 0 {
		return usage("--max-age %s is below 0", c.maxAge)
	}
	ctx := cmd.Context()
	opened := c.stores()
	defer opened.close(&err)
	ctx = patience.With(ctx, c.Patience.Bounds(c.logger(cmd.ErrOrStderr())))
	warehouses, err := opened.openAll(ctx, resolved.Resources)
	if err != nil {
		return err
	}
	var errs []error
	all := []warehouseStatus{}
	for _, warehouse := range warehouses {
		s, err := c.look(ctx, warehouse)
		if err != nil {
			errs = append(errs, fmt.Errorf("warehouse %s: %w", warehouse.URL(""), err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		all = append(all, s)
		if !s.OK {
			errs = append(errs, s.failure(c.maxAge))
		}
		if c.output == "text" {
			errs = append(errs, s.print(cmd.OutOrStdout()))
		}
	}
	switch {
	case c.output == "json" && resolved.File != "":
		errs = append(errs, runreport.WriteJSON(cmd.OutOrStdout(), all))
	case c.output == "json" && len(all) > 0:
		errs = append(errs, runreport.WriteJSON(cmd.OutOrStdout(), all[0]))
	}
	return errors.Join(errs...)
}

// look reads the chosen projects of a warehouse.
func (c *statusCommand) look(ctx context.Context, warehouse store.Store) (s warehouseStatus, err error) {
	ids, err := c.choose(ctx, warehouse)
	if err != nil {
		return s, err
	}
	s = warehouseStatus{Warehouse: warehouse.URL(""), OK: len(ids) > 0, Projects: []projectStatus{}}
	for _, id := range ids {
		status, err := load.Status(ctx, warehouse, id)
		if err != nil {
			return s, err
		}
		if status.Kept+len(status.Filtered)+len(status.Problems) == 0 {
			return s, fmt.Errorf("it has no export of project %s: check --project and the warehouse's address", id)
		}
		p := projectStatus{ProjectStatus: status, Stale: c.maxAge > 0}
		if !status.LastWhole.IsZero() {
			p.age = time.Since(status.LastWhole)
			p.AgeSeconds = new(p.age.Seconds())
			p.Stale = c.maxAge > 0 && p.age > c.maxAge
		}
		s.OK = s.OK && !p.Stale && len(p.Problems) == 0
		s.Projects = append(s.Projects, p)
	}
	return s, nil
}

// choose returns the projects that are asked for.
func (c *statusCommand) choose(ctx context.Context, warehouse store.Store) (ids []schema.ID, err error) {
	if len(c.projects) == 0 {
		return load.CommittedProjects(ctx, warehouse, schema.Evaluation)
	}
	for _, text := range c.projects {
		id, _, err := names.Scope(text, nil, func() ([]names.Row, error) {
			exports, _, err := load.ReadRecords(ctx, warehouse)
			return load.Names(exports), err
		})
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// failure says why a warehouse is not fresh and whole.
func (s warehouseStatus) failure(maxAge time.Duration) error {
	if len(s.Projects) == 0 {
		return fmt.Errorf("warehouse %s has no export: run cvexport nightly first, or check its address", s.Warehouse)
	}
	var parts []string
	var problems, stale int64
	for _, p := range s.Projects {
		problems += int64(len(p.Problems))
		if p.Stale {
			stale++
		}
	}
	if problems > 0 {
		parts = append(parts, runreport.Count(problems, "iteration")+" not whole")
	}
	if stale > 0 {
		parts = append(parts, fmt.Sprintf("%s without a whole export in the last %s: find out whether cvexport nightly runs", runreport.Count(stale, "project"), maxAge))
	}
	return fmt.Errorf("warehouse %s: %s", s.Warehouse, strings.Join(parts, "; "))
}

func (s warehouseStatus) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "project\tid\tlast whole export\tage\tkept\tfiltered\tproblems\t")
	for _, p := range s.Projects {
		age := "-"
		if p.AgeSeconds != nil {
			age = p.age.Round(time.Minute).String()
			age = cmp.Or(strings.TrimSuffix(age, "0s"), "0m")
		}
		mark := ""
		if p.Stale {
			mark = "too old"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", printable.Line(cmp.Or(p.Name, "-")), p.ID, when(p.LastWhole), age, p.Kept, len(p.Filtered), len(p.Problems), mark)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range s.Projects {
		for _, i := range p.Filtered {
			fmt.Fprintf(&b, "filtered: iteration %s (%s) of project %s has only images with some tags, and its figures look better than they are\n",
				printable.Line(i.Name), i.ID, printable.Line(p.Name))
		}
		for _, i := range p.Problems {
			fmt.Fprintf(&b, "problem: iteration %s (%s) of project %s: %s\n", printable.Line(cmp.Or(i.Name, "-")), i.ID, printable.Line(cmp.Or(p.Name, "-")), printable.Message(i.Problem))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/load/store/open"
)

// configCommand checks a configuration file.
type configCommand struct{ common }

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Work with a configuration file",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigCheck())
	return cmd
}

func newConfigCheck() *cobra.Command {
	c := &configCommand{}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file, and show the resulting resources",
		Long: `Check reads a configuration file as strictly as a run does, and shows the resources
that result from flags, environment and file. It checks that each key is there,
without showing it, and contacts no service and no warehouse.`,
		Example: `  cvexport config check --config cvexport.yaml
  CVEXPORT_WAREHOUSE=gs://my-bucket/vision cvexport config check --config cvexport.yaml --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := c.Monitor(true); err != nil {
				return &usageError{err: err}
			}
			return c.withConfig(c.run)(cmd, args)
		},
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	return cmd
}

// checkedResource is a resource as config check shows it.
type checkedResource struct {
	Name        string   `json:"name"`
	Host        string   `json:"host"`
	Warehouse   string   `json:"warehouse"`
	Rate        float64  `json:"rate"`
	Concurrency int      `json:"concurrency"`
	Projects    []string `json:"projects,omitempty"`
	Include     []string `json:"include,omitempty"`
	Exclude     []string `json:"exclude,omitempty"`
}

func (c *configCommand) run(cmd *cobra.Command, resolved *config.Config) error {
	if resolved.File == "" {
		return usageSeeHelp("--config is needed")
	}
	checked := []checkedResource{}
	for _, r := range resolved.Resources {
		client, err := r.Client(programVersion(), nil, nil)
		if err != nil {
			return usage("%w", err)
		}
		warehouse, err := open.CheckAddress(r.Warehouse)
		if err != nil {
			return usage("resource %s: %w", r.Name, err)
		}
		shown := checkedResource{Name: r.Name, Host: client.Host(), Warehouse: warehouse, Rate: r.Rate, Concurrency: r.Concurrency,
			Include: r.Projects.Include, Exclude: r.Projects.Exclude}
		for _, id := range r.Projects.IDs {
			shown.Projects = append(shown.Projects, id.String())
		}
		checked = append(checked, shown)
	}
	if c.output == "json" {
		return runreport.WriteJSON(cmd.OutOrStdout(), checked)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "resource\thost\twarehouse\trate\tconcurrency\tprojects")
	for _, r := range checked {
		fmt.Fprintf(t, "%s\t%s\t%s\t%v\t%d\t%s\n", printable.Line(r.Name), r.Host, printable.Line(r.Warehouse), r.Rate, r.Concurrency, printable.Line(projectsText(r)))
	}
	return t.Flush()
}

func projectsText(r checkedResource) string {
	var parts []string
	for _, p := range []struct {
		before, between string
		values          []string
	}{{"", ", ", r.Projects}, {"named ", " or ", r.Include}, {"not ", " nor ", r.Exclude}} {
		if len(p.values) > 0 {
			parts = append(parts, p.before+strings.Join(p.values, p.between))
		}
	}
	return cmp.Or(strings.Join(parts, "; "), "all")
}

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/load/store/open"
)

// configCommand looks at a configuration file.
type configCommand struct{ common }

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Look at a configuration file",
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
		Short: "Check a configuration file, and show what it comes to",
		Long: `Check reads a configuration file as strictly as a run does, and shows each
resource as flags, environment and file together make it. It finds out whether
each key is there, without showing it, and talks to no service and no warehouse.`,
		Example: `  cvexport config check --config cvexport.yaml
  CVEXPORT_WAREHOUSE=gs://my-bucket/vision cvexport config check --config cvexport.yaml --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
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

func (c *configCommand) run(cmd *cobra.Command) error {
	if c.config == "" {
		return &usageError{command: cmd.CommandPath(), err: usage("--config is needed")}
	}
	resources, err := c.resources(cmd)
	if err != nil {
		return err
	}
	checked := []checkedResource{}
	for _, r := range resources {
		client, err := c.client(r, nil)
		if err != nil {
			return err
		}
		warehouse, err := open.CheckAddress(r.warehouse)
		if err != nil {
			return usage("resource %s: %w", r.name, err)
		}
		shown := checkedResource{Name: r.name, Host: client.Host(), Warehouse: warehouse, Rate: r.rate, Concurrency: r.concurrency,
			Include: r.choice.Include, Exclude: r.choice.Exclude}
		for _, id := range r.choice.IDs {
			shown.Projects = append(shown.Projects, id.String())
		}
		checked = append(checked, shown)
	}
	if c.output == "json" {
		return printJSON(cmd.OutOrStdout(), checked)
	}
	t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "resource\thost\twarehouse\trate\tconcurrency\tprojects")
	for _, r := range checked {
		fmt.Fprintf(t, "%s\t%s\t%s\t%v\t%d\t%s\n", r.Name, r.Host, r.Warehouse, r.Rate, r.Concurrency, projectsText(r))
	}
	return t.Flush()
}

func projectsText(r checkedResource) string {
	var parts []string
	if len(r.Projects) > 0 {
		parts = append(parts, strings.Join(r.Projects, ", "))
	}
	if len(r.Include) > 0 {
		parts = append(parts, "named "+strings.Join(r.Include, " or "))
	}
	if len(r.Exclude) > 0 {
		parts = append(parts, "not "+strings.Join(r.Exclude, " nor "))
	}
	if len(parts) == 0 {
		return "all"
	}
	return strings.Join(parts, "; ")
}

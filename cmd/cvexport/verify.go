package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// verifyCommand re-reads every committed object.
type verifyCommand struct{ common }

func newVerify() *cobra.Command {
	c := &verifyCommand{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every committed object against its record",
		Long: `Verify reads every object that an export has committed and compares it with the
export's record: that it is there, its bytes, checksum, rows and columns, that
keys are unique, and that every image named by another table is in images. It
changes nothing, and fails if it finds anything wrong.

With --config it verifies each warehouse of the configuration once, and needs no
training key. One that cannot be read does not stop the others. As JSON the
result is then a list.`,
		Example: `  cvexport verify
  cvexport verify --warehouse gs://my-bucket/vision --output json
  cvexport verify --config cvexport.yaml                  # every warehouse it names
  cvexport verify --config cvexport.yaml --resource lab`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addConfig(cmd)
	c.addWarehouse(cmd)
	return cmd
}

func (c *verifyCommand) run(cmd *cobra.Command) (err error) {
	open := stores{}
	defer open.close(&err)
	warehouses, err := c.warehouses(cmd, open)
	if err != nil {
		return err
	}
	var errs []error
	done, findings := []verification{}, 0
	for _, store := range warehouses {
		report, err := load.Verify(cmd.Context(), store, c.spoolDir, nil)
		if err != nil {
			errs = append(errs, err)
			if cmd.Context().Err() != nil {
				break
			}
			continue
		}
		findings += len(report.Findings)
		done = append(done, newVerification(report, store))
		if c.output == "text" {
			if err := printReport(cmd.OutOrStdout(), report, store); err != nil {
				return err
			}
		}
	}
	switch {
	case c.output == "json" && c.config != "":
		errs = append(errs, printJSON(cmd.OutOrStdout(), done))
	case c.output == "json" && len(done) > 0:
		errs = append(errs, printJSON(cmd.OutOrStdout(), done[0]))
	}
	if findings > 0 {
		errs = append(errs, fmt.Errorf("%s in the warehouse: export the iterations named above again", plural(int64(findings), "problem")))
	}
	return errors.Join(errs...)
}

// warehouses are the one of flags and environment, or those of the configuration,
// each once.
func (c *verifyCommand) warehouses(cmd *cobra.Command, open stores) ([]store.Store, error) {
	resources, err := c.resources(cmd)
	if err != nil {
		return nil, err
	}
	var warehouses []store.Store
	for _, r := range resources {
		opened, err := open.open(cmd, r.warehouse)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(warehouses, func(have store.Store) bool { return have.URL("") == opened.URL("") }) {
			warehouses = append(warehouses, opened)
		}
	}
	return warehouses, nil
}

func printReport(w io.Writer, r load.Report, store storeURL) error {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintln(&b, f)
	}
	if len(r.Findings) == 0 {
		fmt.Fprint(&b, "Everything is whole: ")
	} else {
		fmt.Fprint(&b, "Not everything is whole: ")
	}
	fmt.Fprintf(&b, "%s, %s, %s, %s in %s.\n", plural(int64(r.Iterations), "iteration"), plural(int64(r.Objects), "object"),
		plural(r.Rows, "row"), plural(r.Bytes, "byte"), store.URL(""))
	if n := len(r.Uncommitted); n > 0 {
		fmt.Fprintf(&b, "%s of iterations whose first export is running or was interrupted; export these again.\n", plural(int64(n), "object"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verification is the report for programs.
type verification struct {
	Warehouse   string    `json:"warehouse"`
	Iterations  int       `json:"iterations"`
	Objects     int       `json:"objects"`
	Rows        int64     `json:"rows"`
	Bytes       int64     `json:"bytes"`
	Findings    []finding `json:"findings"`
	Uncommitted []string  `json:"uncommitted"`
}

type finding struct {
	Project   schema.ID `json:"project_id"`
	Iteration schema.ID `json:"iteration_id"`
	Table     string    `json:"table"`
	Key       string    `json:"key"`
	Problem   string    `json:"problem"`
}

func newVerification(r load.Report, store storeURL) verification {
	v := verification{
		Warehouse: store.URL(""), Iterations: r.Iterations, Objects: r.Objects, Rows: r.Rows, Bytes: r.Bytes,
		Findings: []finding{}, Uncommitted: append([]string{}, r.Uncommitted...),
	}
	for _, f := range r.Findings {
		v.Findings = append(v.Findings, finding(f))
	}
	return v
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// verifyCommand reads every committed object again.
type verifyCommand struct {
	common
	empty bool
}

func newVerify() *cobra.Command {
	c := &verifyCommand{}
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check every committed object against its record",
		Long: `Verify reads every object that an export has committed and compares its bytes,
checksum, rows and columns with the export's record. It also checks that keys are
unique, and that every image that another table refers to is in images. It changes
nothing. A warehouse without exports, such as a mistyped address, is an error unless
--allow-empty is given.

The exit code is 0 if everything is intact, 1 if something is damaged or missing, and 3
if nothing is, as far as it could be read, but something could not be: the network or a
permission was in the way, which says nothing about the objects.

With --config it verifies each warehouse of the configuration once, and needs no
training key. A warehouse that cannot be read does not stop the others. The JSON
output is then a list.`,
		Example: `  cvexport verify
  cvexport verify --warehouse gs://my-bucket/vision --output json
  cvexport verify --config cvexport.yaml                  # every warehouse it names
  cvexport verify --config cvexport.yaml --resource lab`,
		Args: cobra.NoArgs,
		RunE: c.withConfig(c.run),
	}
	c.addConfig(cmd)
	c.addWarehouse(cmd)
	c.addPing(cmd)
	cmd.Flags().BoolVar(&c.empty, "allow-empty", false, "succeed even if a warehouse has no export")
	return cmd
}

func (c *verifyCommand) run(cmd *cobra.Command, resolved *config.Config) (err error) {
	ctx := cmd.Context()
	opened := c.stores()
	defer opened.close(&err)
	warehouses, err := opened.openAll(patience.With(ctx, c.Patience.Bounds(c.logger(cmd.ErrOrStderr()))), resolved.Resources)
	if err != nil {
		return err
	}
	var errs []error
	done, findings, unread := []verification{}, 0, 0
	for _, warehouse := range warehouses {
		report, err := load.Verify(ctx, warehouse, schema.Evaluation, c.spoolDir, nil)
		findings, unread = findings+len(report.Findings), unread+len(report.Unread)
		if err != nil {
			errs = append(errs, err)
			if ctx.Err() != nil {
				break
			}
			if report.Iterations == 0 {
				continue
			}
		} else if report.Iterations+len(report.Findings) == 0 && !c.empty {
			errs = append(errs, nothingIn(warehouse, report))
			continue
		}
		// Empty lists, not null, in JSON.
		report.Findings, report.Uncommitted = append([]load.Finding{}, report.Findings...), append([]string{}, report.Uncommitted...)
		report.Unread = append([]load.Finding{}, report.Unread...)
		done = append(done, verification{warehouse.URL(""), report})
		if c.output == "text" {
			if err := printReport(cmd.OutOrStdout(), report, warehouse); err != nil {
				return err
			}
		}
	}
	switch {
	case c.output == "json" && resolved.File != "":
		errs = append(errs, runreport.WriteJSON(cmd.OutOrStdout(), done))
	case c.output == "json" && len(done) > 0:
		errs = append(errs, runreport.WriteJSON(cmd.OutOrStdout(), done[0]))
	}
	if unread > 0 {
		errs = append(errs, &load.UnreadError{Err: fmt.Errorf("%s, which may be intact: verify again", runreport.Count(int64(unread), "object"))})
	}
	if findings > 0 {
		errs = append(errs, fmt.Errorf("%s in the warehouse: each line above says what to do", runreport.Count(int64(findings), "problem")))
	}
	err = errors.Join(errs...)
	if err != nil && !slices.ContainsFunc(errs, isNotUnread) {
		err = &inconclusiveError{err}
	}
	return err
}

// inconclusiveError says that nothing is known to be wrong, but not all could be read.
type inconclusiveError struct{ error }

func isNotUnread(err error) bool {
	_, unread := errors.AsType[*load.UnreadError](err)
	return err != nil && !unread
}

// nothingIn is the error of a warehouse without a committed export.
func nothingIn(warehouse store.Store, r load.Report) error {
	uncommitted := ""
	if n := len(r.Uncommitted); n > 0 {
		uncommitted = fmt.Sprintf(", but %s of exports that are still running or were interrupted", runreport.Count(int64(n), "object"))
	}
	return fmt.Errorf("nothing to verify in %s: it has no export%s: check its address, or allow that with --allow-empty", warehouse.URL(""), uncommitted)
}

// openAll opens each warehouse of the resources once, however it is written.
func (s stores) openAll(ctx context.Context, resources []config.Resource) ([]store.Store, error) {
	var warehouses []store.Store
	for _, r := range resources {
		warehouse, err := s.open(ctx, r.Warehouse)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(warehouses, func(other store.Store) bool { return other.URL("") == warehouse.URL("") }) {
			warehouses = append(warehouses, warehouse)
		}
	}
	return warehouses, nil
}

func printReport(w io.Writer, r load.Report, warehouse store.Store) error {
	var b strings.Builder
	for _, f := range slices.Concat(r.Findings, r.Unread) {
		fmt.Fprintln(&b, printable.Message(f.String()))
	}
	intact := "Everything is intact"
	switch {
	case len(r.Findings) > 0:
		intact = "Not everything is intact"
	case len(r.Unread) > 0:
		intact = "What could be read is intact, and not everything could"
	}
	fmt.Fprintf(&b, "%s: %s, %s, %s, %s in %s.\n", intact, runreport.Count(int64(r.Iterations), "iteration"), runreport.Count(int64(r.Objects), "object"),
		runreport.Count(r.Rows, "row"), runreport.Count(r.Bytes, "byte"), warehouse.URL(""))
	if n := len(r.Uncommitted); n > 0 {
		fmt.Fprintf(&b, "%s of iterations whose first export is still running or was interrupted; if interrupted, export them again.\n", runreport.Count(int64(n), "object"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verification is the JSON output.
type verification struct {
	Warehouse string `json:"warehouse"`
	load.Report
}

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/load"
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
changes nothing, and fails if it finds anything wrong.`,
		Example: `  cvexport verify
  cvexport verify --warehouse gs://my-bucket/vision --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	c.addWarehouse(cmd)
	return cmd
}

func (c *verifyCommand) run(cmd *cobra.Command) (err error) {
	if err := c.validate(); err != nil {
		return err
	}
	store, err := c.store(cmd)
	if err != nil {
		return err
	}
	defer closeStore(store, &err)
	report, err := load.Verify(cmd.Context(), store, c.spoolDir, nil)
	if err != nil {
		return err
	}
	if err := printReport(cmd.OutOrStdout(), c.output, report, store); err != nil {
		return err
	}
	if len(report.Findings) > 0 {
		return fmt.Errorf("%s in the warehouse: export the iterations named above again", plural(int64(len(report.Findings)), "problem"))
	}
	return nil
}

func printReport(w io.Writer, format string, r load.Report, store storeURL) error {
	if format == "json" {
		return printJSON(w, newVerification(r))
	}
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

func newVerification(r load.Report) verification {
	v := verification{
		Iterations: r.Iterations, Objects: r.Objects, Rows: r.Rows, Bytes: r.Bytes,
		Findings: []finding{}, Uncommitted: append([]string{}, r.Uncommitted...),
	}
	for _, f := range r.Findings {
		v.Findings = append(v.Findings, finding(f))
	}
	return v
}

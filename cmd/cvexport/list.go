package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/operation/runreport"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/jobs"
)

// listCommand shows the service's projects and iterations beside the warehouse.
type listCommand struct{ common }

func newList() *cobra.Command {
	c := &listCommand{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the projects and iterations of the service, and what the warehouse has of them",
		Long: `List shows each project and iteration at the service, and what the warehouse has of
it: when it was trained and exported, how many images its export has, under what name it
is published, and whether it is kept:

  yes       all of it is in the warehouse, as the service has it
  no        it is not exported yet; a night would
  outdated  it has changed at the service since its export
  filtered  the export has only the images with some tags (--tag)
  damaged   the export is not whole; cvexport verify says why
  unread    the export cannot be read now
  -         there is nothing to keep: its training has not ended, or has failed

What the service has deleted and the warehouse still has is listed too. It takes one
request for each project, and reads no images. It changes nothing.`,
		Example: `  cvexport list
  cvexport list --project shop --warehouse gs://my-bucket/vision
  cvexport list --config cvexport.yaml                    # every resource and warehouse it names
  cvexport list --output json | jq '.[].projects[].iterations[] | select(.kept == "no")'`,
		Args: cobra.NoArgs,
		RunE: c.withConfig(c.run),
	}
	c.addService(cmd)
	c.addWarehouse(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&c.Projects, "project", nil, "only the project of this `name` or id; may be given several times")
	f.StringArrayVar(&c.Include, "include", nil, "only projects whose name matches this `pattern`, such as 'shop-*'; may be given several times")
	f.StringArrayVar(&c.Exclude, "exclude", nil, "no project whose name matches this `pattern`; may be given several times")
	c.completeNames(cmd)
	return cmd
}

// listedResource is a resource in the JSON output.
type listedResource struct {
	Resource  string        `json:"resource"`
	Host      string        `json:"host"`
	Warehouse string        `json:"warehouse"`
	Projects  []jobs.Listed `json:"projects"`
}

func (c *listCommand) run(cmd *cobra.Command, resolved *config.Config) (err error) {
	ctx, log := cmd.Context(), c.logger(cmd.ErrOrStderr())
	opened := c.stores()
	defer opened.close(&err)
	var errs []error
	all := []listedResource{}
	for i := range resolved.Resources {
		r, err := c.open(ctx, opened, &resolved.Resources[i], log)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		projects, err := jobs.List(ctx, r)
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
		all = append(all, listedResource{r.Name, r.Client.Host(), r.Store.URL(""), projects})
	}
	if c.output == "json" {
		return errors.Join(append(errs, runreport.WriteJSON(cmd.OutOrStdout(), all))...)
	}
	for _, r := range all {
		errs = append(errs, printListed(cmd.OutOrStdout(), r))
	}
	return errors.Join(errs...)
}

func printListed(w io.Writer, r listedResource) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, beside %s\n", printable.Line(r.Resource), printable.Line(r.Warehouse))
	if len(r.Projects) == 0 {
		fmt.Fprintln(t, "no project")
	}
	for _, p := range r.Projects {
		gone := ""
		if !p.AtService {
			gone = ", which the service no longer has"
		}
		fmt.Fprintf(t, "\nproject %s (%s)%s\n", printable.Line(p.Name), p.ID, gone)
		if len(p.Iterations) == 0 {
			fmt.Fprintln(t, "  no iterations")
			continue
		}
		fmt.Fprintln(t, "  iteration\tid\tstatus\ttrained\timages\texported\tkept\tpublished as")
		for _, it := range p.Iterations {
			images := "-"
			if it.Images != nil {
				images = runreport.Group(*it.Images)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable.Line(cmp.Or(it.Name, "-")), it.ID, printable.Line(cmp.Or(it.Status, "deleted")),
				when(it.Trained), images, when(it.Exported), it.Kept, printable.Line(cmp.Or(it.PublishName, "-")))
		}
	}
	return t.Flush()
}

// when shows a time for people.
func when(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format("2006-01-02 15:04")
}

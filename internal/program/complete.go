package program

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/load"
	"github.com/cvexport/cvexport/load/store/open"
	"github.com/cvexport/cvexport/patience"
	"github.com/cvexport/cvexport/schema"
)

// completionTimeout is how long a shell waits for names, at most.
const completionTimeout = 2 * time.Second

// CompleteNames has shells offer the names that warehouses have for the flags --project,
// --iteration and --compare of a command. It offers nothing if a warehouse cannot be read,
// or not within two seconds.
func CompleteNames(cmd *cobra.Command, warehouses func() []string) {
	for flag, noun := range map[string]names.Noun{"project": names.Project, "iteration": names.Iteration, "compare": names.Iteration} {
		if cmd.Flags().Lookup(flag) == nil {
			continue
		}
		err := cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			rows := readNames(cmd.Context(), warehouses())
			if noun == names.Project {
				return offer(noun, names.Projects(rows)), cobra.ShellCompDirectiveNoFileComp
			}
			var project schema.ID
			if f := cmd.Flags().Lookup("project"); f != nil && f.Changed {
				item, err := names.Find(names.Project, names.Projects(rows), f.Value.String())
				if err != nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
				project = item.ID
			}
			return offer(noun, names.Iterations(rows, project)), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		})
		if err != nil {
			panic(err) // a flag that has one already
		}
	}
}

// readNames reads the names of warehouses, as far as it can in time.
func readNames(ctx context.Context, warehouses []string) []names.Row {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	read := make(chan []names.Row, 1)
	go func() { // for what does not heed ctx, such as a search for credentials
		var rows []names.Row
		for _, address := range warehouses {
			warehouse, err := open.Open(patience.With(ctx, patience.Bounds{GiveUp: completionTimeout}), address)
			if err != nil {
				continue
			}
			if exports, _, err := load.ReadRecords(ctx, warehouse); err == nil {
				rows = append(rows, load.Names(exports)...)
			}
			_ = warehouse.Close()
		}
		read <- rows
	}()
	select {
	case rows := <-read:
		return rows
	case <-ctx.Done():
		return nil
	}
}

// offer returns the names of items, each with its id as the description; and the id where
// a shell cannot take the name, or where it means another item, or several.
func offer(noun names.Noun, items []names.Item) (offered []cobra.Completion) {
	if noun == names.Iteration && len(items) > 0 {
		offered = append(offered, cobra.CompletionWithDesc(names.Latest, "the one trained last"))
		if slices.ContainsFunc(items, func(i names.Item) bool { return i.PublishName != "" }) {
			offered = append(offered, cobra.CompletionWithDesc(names.Published, "the one with a publish name"))
		}
	}
	for _, i := range items {
		found, err := names.Find(noun, items, i.Name)
		shown := printable.Line(i.Name)
		if err != nil || found.ID != i.ID || shown != i.Name || shown == "" {
			offered = append(offered, cobra.CompletionWithDesc(i.ID.String(), shown))
			continue
		}
		offered = append(offered, cobra.CompletionWithDesc(i.Name, i.ID.String()))
	}
	return offered
}

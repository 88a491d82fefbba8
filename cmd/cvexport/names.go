package main

import (
	"github.com/spf13/cobra"

	"github.com/cvexport/cvexport/internal/operation/config"
	"github.com/cvexport/cvexport/internal/program"
)

// namesHelp says in the help of commands what a name may be.
const namesHelp = `A name is found as it is written, then in upper or lower case; an iteration also by
its publish name. If several have it, the error lists them with their ids, and if none
has, it says which is nearest. latest and published always mean the iteration trained
last and the one that is published, and what looks like an id is one: an iteration
whose name is such a word is named by its id.`

// completeNames has shells offer the names of the warehouses that the flags and the
// configuration choose.
func (c *common) completeNames(cmd *cobra.Command) {
	program.CompleteNames(cmd, func() (addresses []string) {
		flags := c.Flags
		flags.Projects = nil // the one that is being written
		resolved, err := config.Resolve(flags, cmd.Flags().Changed)
		if err != nil {
			return nil
		}
		for _, r := range resolved.Resources {
			addresses = append(addresses, r.Warehouse)
		}
		return addresses
	})
}

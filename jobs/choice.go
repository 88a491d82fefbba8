package jobs

import (
	"fmt"
	"path"
	"slices"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/schema"
)

// Choice is which projects of a resource are wanted. The zero value wants all.
type Choice struct {
	IDs     []schema.ID // these, if there are any
	Include []string    // patterns of [path.Match] for the name; one has to match, if there are any
	Exclude []string    // none of these may

	// Shared is that the ids were asked of several resources: each has to be in one.
	Shared bool
}

// Validate checks the patterns.
func (c Choice) Validate() error {
	for _, pattern := range slices.Concat(c.Include, c.Exclude) {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("project pattern %q: %w", pattern, err)
		}
	}
	return nil
}

func (c Choice) all() bool { return len(c.IDs)+len(c.Include)+len(c.Exclude) == 0 }

// choose returns the projects that are wanted, in the service's order, and the ids
// that are wanted and not listed.
func (c Choice) choose(listed []extract.Project) (chosen []extract.Project, gone []schema.ID) {
	for _, id := range c.IDs {
		if !slices.ContainsFunc(listed, func(p extract.Project) bool { return p.ID == id }) {
			gone = append(gone, id)
		}
	}
	for _, p := range listed {
		if c.has(p.ID) && c.hasName(p.Name) {
			chosen = append(chosen, p)
		}
	}
	return chosen, gone
}

// has reports whether the ids want a project, and hasName whether the patterns do.
func (c Choice) has(id schema.ID) bool { return len(c.IDs) == 0 || slices.Contains(c.IDs, id) }

func (c Choice) hasName(name string) bool {
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok // Validate has refused broken ones
	}
	return (len(c.Include) == 0 || slices.ContainsFunc(c.Include, matches)) && !slices.ContainsFunc(c.Exclude, matches)
}

package jobs

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/schema"
)

// Choice selects projects of a resource. The zero value selects all.
type Choice struct {
	IDs     []schema.ID // if not empty, only these and those of Names
	Names   []string    // if not empty, only these and those of IDs, as [names.Find] finds them
	Include []string    // patterns of [path.Match]; if not empty, one must match the name
	Exclude []string    // none of these patterns may match the name

	// Shared means that several resources have the same IDs and Names, each of which must
	// be in one of them.
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

func (c Choice) all() bool { return len(c.IDs)+len(c.Names)+len(c.Include)+len(c.Exclude) == 0 }

// choose returns the chosen projects, in the service's order, and the IDs that are
// not listed.
func (c Choice) choose(listed []extract.Project) (chosen []extract.Project, missing []schema.ID) {
	for _, id := range c.IDs {
		if !slices.ContainsFunc(listed, func(p extract.Project) bool { return p.ID == id }) {
			missing = append(missing, id)
		}
	}
	for _, p := range listed {
		if c.has(p.ID) && c.hasName(p.Name) {
			chosen = append(chosen, p)
		}
	}
	return chosen, missing
}

// idle returns the patterns of Include that match no project.
func (c Choice) idle(listed []extract.Project) (patterns []string) {
	for _, pattern := range c.Include {
		if !slices.ContainsFunc(listed, func(p extract.Project) bool { return Choice{Include: []string{pattern}}.hasName(p.Name) }) {
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// emptyError says that none of the listed projects is chosen.
func (c Choice) emptyError(resource string, listed []extract.Project) error {
	if len(listed) == 0 {
		return fmt.Errorf("resource %s has no project: check its endpoint, or allow that with --allow-empty", resource)
	}
	const most = 10
	var names []string
	for _, p := range listed[:min(len(listed), most)] {
		names = append(names, fmt.Sprintf("%.60q", p.Name))
	}
	if len(listed) > most {
		names = append(names, "...")
	}
	return fmt.Errorf("none of the %d projects of resource %s is chosen (%s): check --project, --include and --exclude, or the configuration's projects, or allow that with --allow-empty",
		len(listed), resource, strings.Join(names, ", "))
}

// has reports whether the IDs allow a project, and hasName whether the patterns do.
func (c Choice) has(id schema.ID) bool {
	return len(c.IDs)+len(c.Names) == 0 || slices.Contains(c.IDs, id)
}

func (c Choice) hasName(name string) bool {
	matches := func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return err == nil && ok // Validate refuses invalid patterns
	}
	return (len(c.Include) == 0 || slices.ContainsFunc(c.Include, matches)) && !slices.ContainsFunc(c.Exclude, matches)
}

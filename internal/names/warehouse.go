package names

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Row is what a row of a warehouse's exports table says about names.
type Row struct {
	Project     schema.ID
	ProjectName string
	Iteration   Item
	Finished    time.Time // when it was exported
}

// Projects returns the projects of the rows, each with its name in the export made last,
// ordered by name.
func Projects(rows []Row) []Item {
	last := map[schema.ID]Row{}
	for _, r := range rows {
		if before, found := last[r.Project]; !found || r.Finished.After(before.Finished) {
			last[r.Project] = r
		}
	}
	var items []Item
	for id, r := range last {
		items = append(items, Item{ID: id, Name: r.ProjectName})
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), slices.Compare(a.ID[:], b.ID[:]))
	})
	return items
}

// Iterations returns the iterations of a project, or of all projects for the zero id, the
// one trained last first.
func Iterations(rows []Row, project schema.ID) []Item {
	var items []Item
	for _, r := range rows {
		if project.IsZero() || r.Project == project {
			item := r.Iteration
			if project.IsZero() {
				item.Of = fmt.Sprintf("project %s (%s)", quote(r.ProjectName), r.Project)
			}
			items = append(items, item)
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int { return b.Trained.Compare(a.Trained) })
	return items
}

// Scope returns the ids of a project and of iterations in a warehouse; the zero id if no
// project is asked for. read returns the rows of the warehouse; it is not called if ids
// are given, which need not be in the warehouse. Without a project, iterations are looked
// for in all of them, and [Latest] in the only one.
func Scope(project string, iterations []string, read func() ([]Row, error)) (p schema.ID, ids []schema.ID, err error) {
	texts := slices.Clone(iterations)
	if project != "" {
		texts = append(texts, project)
	}
	var rows []Row
	if slices.ContainsFunc(texts, func(text string) bool { return !IsID(text) }) {
		if rows, err = read(); err != nil {
			return p, nil, err
		}
	}
	if project != "" {
		if p, err = schema.ParseID(project); err != nil {
			item, err := Find(Project, Projects(rows), project)
			if err != nil {
				return p, nil, fmt.Errorf("--project: %w", err)
			}
			p = item.ID
		}
	}
	for _, text := range iterations {
		id, err := schema.ParseID(text)
		if projects := Projects(rows); err != nil && text == Latest && p.IsZero() && len(projects) > 1 {
			return p, nil, fmt.Errorf("--iteration: %w", &Error{true, fmt.Sprintf("each of the %d projects has a latest iteration: choose one with --project: %s", len(projects), list(projects))})
		}
		if err != nil {
			item, err := Find(Iteration, Iterations(rows, p), text)
			if err != nil {
				return p, nil, fmt.Errorf("--iteration: %w", err)
			}
			id = item.ID
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return p, ids, nil
}

// IsID reports whether a text is an id, and so no name.
func IsID(text string) bool {
	_, err := schema.ParseID(text)
	return err == nil
}

// Split returns the texts of a flag that may be given several times, and which takes
// several ids with commas between them. A name may have commas in it.
func Split(texts []string) (all []string) {
	for _, text := range texts {
		parts := strings.Split(text, ",")
		if slices.ContainsFunc(parts, func(part string) bool { return !IsID(part) }) {
			parts = []string{text}
		}
		all = append(all, parts...)
	}
	return all
}

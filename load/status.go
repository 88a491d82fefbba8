package load

import (
	"context"
	"fmt"
	"time"

	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/schema"
)

// ProjectStatus says what a warehouse has of a project, as far as records and the sizes
// and checksums of objects tell.
type ProjectStatus struct {
	ID   schema.ID `json:"project_id"`
	Name string    `json:"project_name"` // in the export made last

	// LastWhole is when the last export was made that is whole and has every image; zero if
	// there is none.
	LastWhole time.Time `json:"last_whole_export,omitzero"`

	Kept     int       `json:"kept"`     // iterations with a whole export of every image
	Filtered []Place   `json:"filtered"` // with a whole export that is limited to some tags
	Problems []Problem `json:"problems"` // iterations whose export is not whole, or cannot be read
}

// Place is an iteration.
type Place struct {
	ID   schema.ID `json:"iteration_id"`
	Name string    `json:"iteration_name,omitempty"`
}

// Problem is what is wrong with the export of an iteration.
type Problem struct {
	Place
	Problem string `json:"problem"`
}

// Status reads what the warehouse has of a project. It reads the records, and no rows: that
// is for [Verify].
func Status(ctx context.Context, s store.Store, project schema.ID) (ProjectStatus, error) {
	p := ProjectStatus{ID: project, Filtered: []Place{}, Problems: []Problem{}}
	committed, err := ReadProject(ctx, s, schema.Evaluation, project)
	if err != nil {
		return p, err
	}
	var named time.Time
	for _, c := range committed {
		place := Place{ID: c.Iteration}
		e := c.Export
		if e != nil && e.IterationName != nil {
			place.Name = *e.IterationName
		}
		if e != nil && e.ProjectName != nil && !e.FinishedAt.Before(named) {
			p.Name, named = *e.ProjectName, e.FinishedAt
		}
		switch {
		case c.Unread != nil:
			p.Problems = append(p.Problems, Problem{place, fmt.Sprintf("its export cannot be read: %v", c.Unread)})
		case c.Damaged != nil:
			p.Problems = append(p.Problems, Problem{place, c.Damaged.Error()})
		case !c.Whole:
			p.Problems = append(p.Problems, Problem{place, "objects of its export are missing, or not as recorded; cvexport verify says which, and cvexport nightly exports it again if the service still has it"})
		case len(e.TagFilter) > 0:
			p.Filtered = append(p.Filtered, place)
		default:
			p.Kept++
			if e.FinishedAt.After(p.LastWhole) {
				p.LastWhole = e.FinishedAt
			}
		}
	}
	return p, nil
}

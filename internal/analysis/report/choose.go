package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Errors about options that do not fit the warehouse.
var (
	ErrNotFound = errors.New("not in the warehouse")
	ErrChoice   = errors.New("a choice is needed")
)

// Choose finds a project and one of its iterations by their ids. An empty id stands for
// the warehouse's only project, or the iteration trained last. It returns all iterations
// of the project and the position of the chosen one. An error is ErrNotFound or
// ErrChoice, if it is not about reading the warehouse.
func Choose(ctx context.Context, q querier, project, iteration string) (_ Project, _ []Iteration, shown int, err error) {
	projects, err := Projects(ctx, q)
	if err != nil {
		return Project{}, nil, 0, err
	}
	at := slices.IndexFunc(projects, func(p Project) bool { return p.ID == project })
	switch {
	case project == "" && len(projects) == 1:
		at = 0
	case len(projects) == 0:
		err = fmt.Errorf("the warehouse holds no committed export: %w (export something first)", ErrNotFound)
	case project == "":
		err = fmt.Errorf("the warehouse holds %d projects: %w: %s", len(projects), ErrChoice, listProjects(projects))
	case at < 0:
		err = fmt.Errorf("project %s: %w, which holds %s", project, ErrNotFound, listProjects(projects))
	}
	if err != nil {
		return Project{}, nil, 0, err
	}
	chosen := projects[at]
	iterations, err := Iterations(ctx, q, chosen.ID)
	if err != nil {
		return Project{}, nil, 0, err
	}
	shown, err = findIteration(chosen, iterations, iteration, len(iterations)-1)
	return chosen, iterations, shown, err
}

// findIteration returns the position of an iteration, or fallback for an empty id.
func findIteration(p Project, iterations []Iteration, id string, fallback int) (int, error) {
	if id == "" {
		return fallback, nil
	}
	at := slices.IndexFunc(iterations, func(i Iteration) bool { return i.ID == id })
	if at < 0 {
		return 0, fmt.Errorf("project %s, iteration %s: %w, which holds %s", p.ID, id, ErrNotFound, listIterations(iterations))
	}
	return at, nil
}

func listProjects(projects []Project) string {
	var names []string
	for _, p := range projects {
		names = append(names, fmt.Sprintf("%s (%s)", p.ID, p.Name))
	}
	return join(names)
}

func listIterations(iterations []Iteration) string {
	var names []string
	for _, i := range slices.Backward(iterations) {
		names = append(names, fmt.Sprintf("%s (%s)", i.ID, i.Name))
	}
	return join(names)
}

// join joins the first names, enough for an error message.
func join(names []string) string {
	const shown = 10
	if more := len(names) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), more)
	}
	return strings.Join(names, ", ")
}

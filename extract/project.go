package extract

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/cvexport/cvexport/schema"
)

// Statuses of an iteration whose training has ended. New and Training occur too, and
// the API limits them to no list.
const (
	Completed = "Completed"
	Failed    = "Failed"
)

// MaxIterations is the number of iterations that the service keeps of a project.
const MaxIterations = 20

// Project is one project of a resource.
type Project struct {
	ID       schema.ID `json:"id"`
	Name     string    `json:"name"`
	Settings struct {
		DomainID *schema.ID `json:"domainId"`
	} `json:"settings"`
}

// Iteration is one training of a project. Fields that the service omits or sets to
// null are nil.
type Iteration struct {
	ID                 schema.ID  `json:"id"`
	Name               string     `json:"name"`
	Status             string     `json:"status"`
	Created            *Time      `json:"created"`
	LastModified       *Time      `json:"lastModified"`
	TrainedAt          *Time      `json:"trainedAt"`
	DomainID           *schema.ID `json:"domainId"`
	ClassificationType *string    `json:"classificationType"`
	TrainingType       *string    `json:"trainingType"`
	PublishName        *string    `json:"publishName"`
	ErrorDetails       *string    `json:"trainingErrorDetails"` // since v3.3
}

// Tag is one tag of a project, with the number of images that have it.
type Tag struct {
	ID         schema.ID `json:"id"`
	Name       string    `json:"name"`
	Type       *string   `json:"type"`
	ImageCount *int32    `json:"imageCount"`
}

// Projects lists the projects of the resource (GetProjects).
func (c *Client) Projects(ctx context.Context) ([]Project, error) {
	list, err := getAnswer(ctx, c, "listing the projects of "+c.Host(), checkAll[Project], nil, "projects")
	for _, p := range list {
		c.named(p.ID, p.Name)
	}
	return list, err
}

// Project reads one project (GetProject).
func (c *Client) Project(ctx context.Context, project schema.ID) (Project, error) {
	p, err := getAnswer(ctx, c, fmt.Sprintf("reading project %s", project), checkOne[Project](project), nil, "projects", project.String())
	c.named(project, p.Name)
	return p, err
}

// Iterations reads a project's iterations (GetIterations).
func (c *Client) Iterations(ctx context.Context, project schema.ID) ([]Iteration, error) {
	what := fmt.Sprintf("listing the iterations of project %s", project)
	list, err := getAnswer(ctx, c, what, checkAll[Iteration], nil, "projects", project.String(), "iterations")
	for i := range list {
		c.named(list[i].ID, list[i].Name)
		list[i].dropUnread(func(field, text string) { c.tellUnread(ctx, project, list[i].ID, field, text) })
	}
	return list, err
}

// Iteration reads one iteration (GetIteration).
func (c *Client) Iteration(ctx context.Context, project, iteration schema.ID) (Iteration, error) {
	what := fmt.Sprintf("reading iteration %s of project %s", iteration, project)
	it, err := getAnswer(ctx, c, what, checkOne[Iteration](iteration), nil, iterationPath(project, iteration)...)
	c.named(iteration, it.Name)
	it.dropUnread(func(field, text string) { c.tellUnread(ctx, project, iteration, field, text) })
	return it, err
}

// Tags reads the tags an iteration was trained on, in no particular order (GetTags).
func (c *Client) Tags(ctx context.Context, project, iteration schema.ID) ([]Tag, error) {
	what := fmt.Sprintf("listing the tags of project %s, iteration %s", project, iteration)
	return getAnswer(ctx, c, what, checkAll[Tag], url.Values{"iterationId": {iteration.String()}}, "projects", project.String(), "tags")
}

// count returns how many images of the iteration have any of the tags, or how many
// there are if there are no tags (GetImagePerformanceCount).
func (c *Client) count(ctx context.Context, project, iteration schema.ID, tags []schema.ID) (int, error) {
	what := fmt.Sprintf("counting the images of project %s, iteration %s", project, iteration)
	n, err := getAnswer(ctx, c, what, func(n *int32) error {
		if n == nil || *n < 0 {
			return errors.New("the answer is not a count")
		}
		return nil
	}, tagQuery(tags), iterationPath(project, iteration, "performance", "images", "count")...)
	if err != nil {
		return 0, err
	}
	return int(*n), nil
}

func (c *Client) page(ctx context.Context, project, iteration schema.ID, tags []schema.ID, skip int) ([]byte, error) {
	query := tagQuery(tags)
	query.Set("orderBy", "Oldest")
	query.Set("take", strconv.Itoa(PageSize))
	query.Set("skip", strconv.Itoa(skip))
	return c.get(ctx, query, iterationPath(project, iteration, "performance", "images")...)
}

func iterationPath(project, iteration schema.ID, more ...string) []string {
	return append([]string{"projects", project.String(), "iterations", iteration.String()}, more...)
}

func tagQuery(tags []schema.ID) url.Values {
	if len(tags) == 0 {
		return url.Values{}
	}
	ids := make([]string, len(tags))
	for i, tag := range tags {
		ids[i] = tag.String()
	}
	return url.Values{"tagIds": {strings.Join(ids, ",")}}
}

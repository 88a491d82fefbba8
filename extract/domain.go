package extract

import (
	"context"
	"fmt"

	"github.com/cvexport/cvexport/schema"
)

// domain is one of the service's domains, such as General or Food (compact).
type domain struct {
	ID   schema.ID `json:"id"`
	Name string    `json:"name"`
	Type string    `json:"type"`
}

func (d domain) check() (schema.ID, error) { return checkTexts(d.ID, &d.Name, &d.Type) }

// kind returns what kind of model is trained on the domain.
func (d domain) kind() kindOrError {
	switch d.Type { // DomainType of the API, which may grow
	case "Classification":
		return kindOrError{kind: schema.Classification}
	case "ObjectDetection":
		return kindOrError{kind: schema.Detection}
	}
	return kindOrError{err: fmt.Errorf("domain %s is of the unknown type %.80q", d.ID, d.Type)}
}

type kindOrError struct {
	kind string
	err  error
}

// domains remembers what the service said of its domains.
type domains struct {
	turn   chan struct{} // holds an element while somebody asks
	listed bool
	kinds  map[schema.ID]kindOrError
}

func newDomains() *domains {
	return &domains{turn: make(chan struct{}, 1), kinds: map[schema.ID]kindOrError{}}
}

// ModelKind returns what kind of model is trained on a domain: [schema.Classification]
// or [schema.Detection]. A client lists the domains once (GetDomains), and asks once
// for one that is not listed (GetDomain). It remembers an error too, unless ctx ended.
func (c *Client) ModelKind(ctx context.Context, id schema.ID) (string, error) {
	d := c.domains
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if !d.listed {
		// Without the list, each domain is asked for by itself.
		list, err := getAnswer(ctx, c, "listing the domains of "+c.Host(), checkAll[domain], nil, "domains")
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err != nil {
			c.log.DebugContext(ctx, "the domains cannot be listed", "error", err)
		}
		for _, one := range list {
			d.kinds[one.ID] = one.kind()
		}
		d.listed = true
	}
	found, known := d.kinds[id]
	if !known {
		one, err := getAnswer(ctx, c, fmt.Sprintf("reading domain %s", id), checkOne[domain](id), nil, "domains", id.String())
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if found = one.kind(); err != nil {
			found = kindOrError{err: err}
		}
		d.kinds[id] = found
	}
	return found.kind, found.err
}

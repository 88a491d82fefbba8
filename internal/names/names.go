// Package names finds projects and iterations by what people call them. It is the one
// place that decides what a name on the command line means, whether the names are those
// of the service or of a warehouse.
package names

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cvexport/cvexport/schema"
)

// Latest and Published stand for an iteration of a project: the one trained last, and the
// one that has a publish name.
const (
	Latest    = "latest"
	Published = "published"
)

// Noun says what is looked for.
type Noun string

// The nouns.
const (
	Project   Noun = "project"
	Iteration Noun = "iteration"
)

// Item is a project or an iteration.
type Item struct {
	ID          schema.ID
	Name        string
	PublishName string    // of an iteration; empty if it is not published
	Trained     time.Time // of an iteration, for Latest; zero if that is not known
	Pending     bool      // an iteration without results, which is never the latest
	Of          string    // where it is, for messages; empty if all items are in one place
}

// Error is why a text means no item, or not one only.
type Error struct {
	Several bool // it means several; else none
	text    string
}

func (e *Error) Error() string { return e.text }

// Find returns the item that a text means. It is the first of these that there is:
//
//   - an id, in upper or lower case: then it is nothing else, even if a name looks like it
//   - of an iteration, [Latest] or [Published], in lower case: scripts that say it mean the
//     same thing whatever somebody calls an iteration
//   - the name or the publish name, as it is written
//   - the name or the publish name in upper or lower case
//
// The error is an [*Error], which lists what the text may mean. What it quotes is
// printable.
func Find(noun Noun, items []Item, text string) (Item, error) {
	if id, err := schema.ParseID(text); err == nil {
		return one(noun, items, "has the id "+id.String(), "", func(i Item) bool { return i.ID == id })
	}
	if noun == Iteration && text == Latest {
		return latest(items)
	}
	if noun == Iteration && text == Published {
		return one(noun, items, "is published", "", func(i Item) bool { return i.PublishName != "" })
	}
	called := func(same func(a, b string) bool) func(Item) bool {
		return func(i Item) bool { return same(i.Name, text) || i.PublishName != "" && same(i.PublishName, text) }
	}
	exactly := called(func(a, b string) bool { return a == b })
	if slices.ContainsFunc(items, exactly) {
		return one(noun, items, "is named "+quote(text), text, exactly)
	}
	return one(noun, items, "is named "+quote(text), text, called(strings.EqualFold))
}

// one returns the only item that holds for; what says what that means, and text is what
// was asked for, empty if that is no name.
func one(noun Noun, items []Item, what, text string, holds func(Item) bool) (Item, error) {
	var found []Item
	for _, i := range items {
		if holds(i) {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		are := strings.NewReplacer("is ", "are ", "has ", "have ").Replace(what)
		return Item{}, &Error{true, fmt.Sprintf("%d %ss %s: give the id of one: %s", len(found), noun, are, list(found))}
	case len(items) == 0:
		return Item{}, &Error{false, fmt.Sprintf("no %s %s: there is none at all", noun, what)}
	}
	if near := nearest(items, text); len(near) > 0 {
		return Item{}, &Error{false, fmt.Sprintf("no %s %s: did you mean %s?", noun, what, list(near))}
	}
	return Item{}, &Error{false, fmt.Sprintf("no %s %s: there is %s", noun, what, list(items))}
}

// latest returns the item trained last; of several at the same time, the first.
func latest(items []Item) (Item, error) {
	trained := slices.DeleteFunc(slices.Clone(items), func(i Item) bool { return i.Pending })
	if len(trained) == 0 {
		return Item{}, &Error{false, fmt.Sprintf("no iteration is the latest: none of the %d has been trained", len(items))}
	}
	return slices.MaxFunc(trained, func(a, b Item) int { return a.Trained.Compare(b.Trained) }), nil
}

// list describes the first items, enough for an error message.
func list(items []Item) string {
	const shown = 10
	var texts []string
	for _, i := range items[:min(len(items), shown)] {
		text := fmt.Sprintf("%s (%s)", quote(i.Name), i.ID)
		if i.PublishName != "" {
			text = fmt.Sprintf("%s (%s, published as %s)", quote(i.Name), i.ID, quote(i.PublishName))
		}
		if i.Of != "" {
			text += " of " + i.Of
		}
		texts = append(texts, text)
	}
	if more := len(items) - shown; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(texts, ", "), more)
	}
	return strings.Join(texts, ", ")
}

// quote quotes a name from outside, cut to fit into a message.
func quote(name string) string { return fmt.Sprintf("%.60q", name) }

// nearest returns the items whose names are like a text: a few letters differ, or one has
// the other in it.
func nearest(items []Item, text string) []Item {
	const most = 3
	type candidate struct {
		Item
		distance int
	}
	wanted := folded(text)
	var near []candidate
	for _, i := range items {
		best := -1
		for _, name := range []string{i.Name, i.PublishName} {
			have := folded(name)
			if len(have) == 0 || len(wanted) == 0 {
				continue
			}
			d := distance(have, wanted)
			within := min(len(have), len(wanted)) >= 3 && (strings.Contains(string(have), string(wanted)) || strings.Contains(string(wanted), string(have)))
			if (within || d <= max(1, len(wanted)/3)) && (best < 0 || d < best) {
				best = d
			}
		}
		if best >= 0 {
			near = append(near, candidate{i, best})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var few []Item
	for _, c := range near[:min(len(near), most)] {
		few = append(few, c.Item)
	}
	return few
}

// folded returns the beginning of a name in lower case.
func folded(name string) []rune {
	const compared = 64
	runes := []rune(strings.ToLower(name[:min(len(name), 4*compared)]))
	return runes[:min(len(runes), compared)]
}

// distance is Levenshtein's: how many characters must be added, removed or replaced.
func distance(a, b []rune) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		before := row[0]
		row[0] = i + 1
		for j := range b {
			replaced := before
			if a[i] != b[j] {
				replaced++
			}
			before = row[j+1]
			row[j+1] = min(replaced, before+1, row[j]+1)
		}
	}
	return row[len(b)]
}

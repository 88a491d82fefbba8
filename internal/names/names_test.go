package names

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/schema"
)

func id(n byte) schema.ID { return schema.ID{15: n} }

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func TestFind(t *testing.T) {
	looksLikeID := id(1).String()
	iterations := []Item{
		{ID: id(1), Name: "Iteration 1", Trained: day(1)},
		{ID: id(2), Name: "Iteration 2", Trained: day(3), PublishName: "production"},
		{ID: id(3), Name: "iteration 2", Trained: day(2)},
		{ID: id(4), Name: "Training", Trained: day(9), Pending: true},
		{ID: id(5), Name: "latest"},
		{ID: id(6), Name: looksLikeID},
		{ID: id(7), Name: "Straße"},
		{ID: id(8), Name: "twice"},
		{ID: id(9), Name: "twice", PublishName: "twice"},
		{ID: id(10), Name: "a, \u202eb"},
		{ID: id(11), Name: ""},
	}
	one := func(n byte) string { return id(n).String() }
	for text, want := range map[string]string{
		id(3).String():                   one(3),
		strings.ToUpper(id(10).String()): one(10),
		looksLikeID:                      one(1), // an id, and no name
		id(99).String():                  `no iteration has the id ` + id(99).String() + `: there is "Iteration 1" (` + one(1) + `), "Iteration 2" (` + one(2) + `, published as "production"),`,
		"Iteration 1":                    one(1),
		"ITERATION 1":                    one(1),
		"Iteration 2":                    one(2), // exact, though another differs in case only
		"iteration 2":                    one(3),
		"ITERATION 2":                    `2 iterations are named "ITERATION 2": give the id of one: "Iteration 2" (` + one(2) + `, published as "production"), "iteration 2" (` + one(3) + `)`,
		"production":                     one(2),
		"Production":                     one(2),
		"latest":                         one(2), // the word, and not the name; nor one in training
		"Latest":                         one(5), // the name
		"published":                      `2 iterations are published: give the id of one: "Iteration 2" (` + one(2) + `, published as "production"), "twice" (` + one(9) + `, published as "twice")`,
		"STRASSE":                        `no iteration is named "STRASSE": did you mean "Straße" (` + one(7) + `)?`,
		"STRAßE":                         one(7),
		"twice":                          `2 iterations are named "twice"`,
		"a, \u202eb":                     one(10),
		"a, b":                           `no iteration is named "a, b": did you mean "a, \u202eb" (` + one(10) + `)?`,
		"Iterration 1":                   `did you mean "Iteration 1" (` + one(1) + `)`,
		"raining":                        `did you mean "Training" (` + one(4) + `)`,
		"x\x1b[2J":                       `no iteration is named "x\x1b[2J": there is "Iteration 1" (`,
		"nothing like it":                `and 1 more`,
	} {
		item, err := Find(Iteration, iterations, text)
		got := item.ID.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || err == nil && got != want {
			t.Errorf("%q\n got %s\nwant %s", text, got, want)
		}
		if _, ok := errors.AsType[*Error](err); err != nil && !ok {
			t.Errorf("%q: the error is %T", text, err)
		}
	}
}

// The words for iterations are names like others of projects; and where there is nothing,
// the error says so.
func TestFindElsewhere(t *testing.T) {
	for n, tc := range []struct {
		noun  Noun
		items []Item
		text  string
		want  string
	}{
		{Project, []Item{{ID: id(1), Name: "latest"}}, Latest, id(1).String()},
		{Project, []Item{{ID: id(1), Name: "a"}}, Published, `no project is named "published": there is "a"`},
		{Project, nil, "a", `no project is named "a": there is none at all`},
		{Iteration, nil, Latest, "none of the 0 has been trained"},
		{Iteration, []Item{{ID: id(1), Pending: true}}, Latest, "none of the 1 has been trained"},
		{Iteration, []Item{{ID: id(1), Name: "a"}}, Published, `no iteration is published: there is "a"`},
		{Iteration, []Item{{ID: id(1), Name: "a", PublishName: "p"}}, Published, id(1).String()},
		{Iteration, []Item{{ID: id(2)}, {ID: id(1)}}, Latest, id(2).String()}, // no times: the first
		{Iteration, []Item{{ID: id(1), Name: strings.Repeat("long ", 1000)}}, "x", `" (`},
	} {
		item, err := Find(tc.noun, tc.items, tc.text)
		got := item.ID.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) || len(got) > 300 {
			t.Errorf("%d:\n got %s\nwant %s", n, got, tc.want)
		}
	}
}

func TestScope(t *testing.T) {
	rows := []Row{
		{id(1), "old name", Item{ID: id(11), Name: "Iteration 1", Trained: day(1)}, day(1)},
		{id(1), "shop", Item{ID: id(12), Name: "Iteration 2", Trained: day(2), PublishName: "live"}, day(2)},
		{id(2), "lab", Item{ID: id(21), Name: "Iteration 1", Trained: day(3)}, day(3)},
	}
	for n, tc := range []struct {
		rows       []Row
		project    string
		iterations []string
		want       string
		unread     bool // the rows are not needed
	}{
		{rows, "", nil, "", true},
		{rows, id(9).String(), []string{id(8).String()}, "9: 8", true},
		{rows, "shop", nil, "1:", false},
		{rows, "old name", nil, `--project: no project is named "old name"`, false},
		{rows, "SHOP", []string{"latest", "iteration 2", "live"}, "1: 12", false},
		{rows, id(2).String(), []string{"Iteration 1"}, "2: 21", false},
		{rows, "", []string{"published"}, "0: 12", false},
		{rows, "", []string{"Iteration 1"}, `--iteration: 2 iterations are named "Iteration 1": give the id of one: "Iteration 1" (` + id(21).String() + `) of project "lab" (` + id(2).String() + `), "Iteration 1" (` + id(11).String() + `) of project "old name"`, false},
		{rows, "", []string{"latest"}, `--iteration: each of the 2 projects has a latest iteration: choose one with --project: "lab" (`, false},
		{rows[:2], "", []string{"latest"}, "0: 12", false},
	} {
		read := false
		p, its, err := Scope(tc.project, tc.iterations, func() ([]Row, error) { read = true; return tc.rows, nil })
		got := ""
		if err != nil {
			got = err.Error()
		} else if p != (schema.ID{}) || its != nil {
			got = fmt.Sprintf("%d:", p[15])
			for _, i := range its {
				got += fmt.Sprintf(" %d", i[15])
			}
		}
		if !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" || read == tc.unread {
			t.Errorf("%d: rows read: %v\n got %s\nwant %s", n, read, got, tc.want)
		}
	}
	unreadable := errors.New("unreadable")
	if _, _, err := Scope("shop", nil, func() ([]Row, error) { return nil, unreadable }); !errors.Is(err, unreadable) {
		t.Error(err)
	}
}

func TestSplit(t *testing.T) {
	a, b := id(1).String(), id(2).String()
	got := Split([]string{a + "," + b, "one, two", a + ", " + b, ""})
	if diff := cmp.Diff([]string{a, b, "one, two", a + ", " + b, ""}, got); diff != "" {
		t.Error(diff)
	}
}

// Whatever the names are, what is found is what was asked for, a name that only one item
// has finds it, and an error can be shown.
func FuzzFind(f *testing.F) {
	f.Add("Iteration 1", "Iteration 2", "", "iteration 1")
	f.Add("latest", "published", "live", "latest")
	f.Add("\u202e\x1b[2J", "\xff", "a\nb", "\xff")
	f.Add(id(1).String(), "x", "x", id(1).String())
	f.Fuzz(func(t *testing.T, first, second, publish, text string) {
		items := []Item{{ID: id(1), Name: first, Trained: day(1)}, {ID: id(2), Name: second, PublishName: publish, Trained: day(2)}}
		item, err := Find(Iteration, items, text)
		if err != nil {
			if shown := err.Error(); printable.Line(shown) != shown || len(shown) > 2500 {
				t.Errorf("%d bytes: %s", len(shown), printable.Line(shown))
			}
			return
		}
		if !slices.Contains(items, item) {
			t.Fatalf("%q finds %v", text, item)
		}
		isKeyword := text == Latest || text == Published
		called := strings.EqualFold(item.Name, text) || item.PublishName != "" && strings.EqualFold(item.PublishName, text)
		if !isKeyword && !called && !strings.EqualFold(item.ID.String(), text) {
			t.Errorf("%q finds %v", text, item)
		}
		if exact := item.Name == text || item.PublishName == text; !exact && !isKeyword && !IsID(text) {
			for _, other := range items {
				if other.Name == text || other.PublishName != "" && other.PublishName == text {
					t.Errorf("%q finds %v, not %v", text, item, other)
				}
			}
		}
	})
}

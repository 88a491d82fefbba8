package runreport

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cvexport/cvexport/extract"
	"github.com/cvexport/cvexport/internal/names"
	"github.com/cvexport/cvexport/internal/printable"
	"github.com/cvexport/cvexport/jobs"
	"github.com/cvexport/cvexport/load/store"
	"github.com/cvexport/cvexport/load/store/azure/azurelogin"
	"github.com/cvexport/cvexport/patience"
)

// PartialError reports that something failed and something else succeeded. It hides
// the kind of the error it has.
type PartialError struct{ error }

// failure is how a run failed, in the three lines that a person on call needs: what, why,
// and what to do. It is of the kind of its first failure.
type failure struct {
	what, why, do string
	first         error
}

func (f *failure) Error() string {
	return fmt.Sprintf("failed: %s\nwhy: %s\nwhat to do: %s", f.what, f.why, f.do)
}

func (f *failure) Unwrap() error { return f.first }

// Failure sums up what went wrong, in three lines: what failed, why, and what to do. It
// returns nil if nothing did, and a [*PartialError] if only a part failed.
func (r *Run) Failure() error {
	var failures []error
	var resources, projects, iterations, done int
	first := ""
	for _, n := range r.Resources {
		if n.Err != nil {
			failures = append(failures, n.Err)
			resources++
			first = cmp.Or(first, "resource "+printable.Line(n.Name))
		}
		fail := func(err error, count *int, what string) {
			if err != nil && !errors.Is(n.Err, err) { // that one is counted already
				failures = append(failures, err)
				*count++
				first = cmp.Or(first, what)
			}
		}
		for _, p := range n.Projects {
			fail(p.Err, &projects, "project "+called(p.Name, p.ID))
			for _, it := range p.Iterations {
				switch it.Outcome {
				case jobs.Failed:
					fail(it.Err, &iterations, called(it.Name, it.ID)+" of project "+called(p.Name, p.ID))
				case jobs.Exported, jobs.Present, jobs.Elsewhere, jobs.Kept, jobs.OtherShard:
					done++
				}
			}
		}
	}
	if len(failures) == 0 {
		return nil
	}
	f := &failure{first: failures[0]}
	f.what, f.why, f.do = what(resources, projects, iterations, iterations+done, first), why(failures), advice(failures[0])
	if done > 0 {
		return &PartialError{f}
	}
	return f
}

// what says what failed.
func what(resources, projects, iterations, tried int, first string) string {
	var parts []string
	for _, part := range []struct {
		n    int
		noun string
	}{{resources, "resource"}, {projects, "project"}} {
		if part.n > 0 {
			parts = append(parts, Count(int64(part.n), part.noun))
		}
	}
	if iterations > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", Group(int64(iterations)), Count(int64(tried), "iteration")))
	}
	if resources+projects+iterations == 1 && iterations == 0 {
		return first
	}
	the := ", the first: "
	if resources+projects+iterations == 1 {
		the = ": "
	}
	return strings.Join(parts, ", ") + the + first
}

// why tells the first failure, how many others have its cause, and how many other causes
// there are.
func why(failures []error) string {
	counts := map[string]int{}
	for _, err := range failures {
		counts[jobs.Cause(err)]++
	}
	text := strings.ReplaceAll(failures[0].Error(), "\n", "; ")
	if n := counts[jobs.Cause(failures[0])]; n > 1 {
		text += fmt.Sprintf(" (%d times)", n)
	}
	if more := len(counts) - 1; more > 0 {
		text += fmt.Sprintf("; and %s, in the summary", Count(int64(more), "other reason"))
	}
	return text
}

// advice says what to do about a failure.
func advice(err error) string {
	const again = "run it again: what is exported is not read again"
	_, named := errors.AsType[*names.Error](err)
	switch {
	case extract.AuthRefused(err):
		return "give a training key that the resource accepts, or let this machine through, then " + again
	case errors.Is(err, store.ErrLogin), errors.Is(err, azurelogin.ErrLogin):
		return "renew the credentials of the warehouse or the queue, then " + again
	case errors.Is(err, store.ErrNoBucket):
		return "create the bucket or container, or correct the warehouse's address, then " + again
	case errors.Is(err, syscall.ENOSPC):
		return "make room, then " + again
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return "let this user write there, or choose another folder, then " + again
	case named:
		return "correct the name, or give an id: cvexport list shows both"
	case errors.Is(err, jobs.ErrRefused):
		return "decide what is to stay, as the message says; the next run leaves the export as it is"
	case patience.MayPass(err):
		return again + ", and the next night tries by itself; if it goes on, look whether service, store and network are well"
	}
	return "mend what the message names, then " + again + "; --verbose logs every request"
}

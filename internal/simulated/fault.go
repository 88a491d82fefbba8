package simulated

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a kind of fault.
type FaultKind string

// The kinds of fault. Those of pages happen when the page is requested.
const (
	Slow         FaultKind = "slow"          // the page is delayed by Delay
	Error500     FaultKind = "error"         // 500 with code and message
	Busy         FaultKind = "busy"          // 503 with an empty body
	Throttle     FaultKind = "throttle"      // 429
	HTML         FaultKind = "html"          // 502 with HTML from a gateway
	HTML200      FaultKind = "html200"       // 200 with HTML from a gateway
	Reset        FaultKind = "reset"         // the connection is reset in the middle of the body
	Truncated    FaultKind = "truncated"     // half of the JSON, as if it were complete
	Duplicate    FaultKind = "duplicate"     // an image of the page repeats the last one of the page before
	MissingID    FaultKind = "missing-id"    // an image has no id
	BadNumber    FaultKind = "bad-number"    // a width that does not fit
	UnknownField FaultKind = "unknown-field" // an image has a new field
	Added        FaultKind = "added"         // an image is added after the page is served
	Removed      FaultKind = "removed"       // the first image is removed after the page is served
	Replaced     FaultKind = "replaced"      // both: the number of images stays
	Relabelled   FaultKind = "relabelled"    // every image gets other tags after the page is served
	Renamed      FaultKind = "renamed"       // every tag is renamed after the page is served
	Endless      FaultKind = "endless"       // pages after the last are never empty
	WrongCount   FaultKind = "count"         // the count is By too high
	NoFigures    FaultKind = "no-figures"    // 404 in place of the performance
)

var faultKinds = []FaultKind{Slow, Error500, Busy, Throttle, HTML, HTML200, Reset, Truncated, Duplicate, MissingID,
	BadNumber, UnknownField, Added, Removed, Replaced, Relabelled, Renamed, Endless, WrongCount, NoFigures}

// Fault is one fault.
type Fault struct {
	Kind  FaultKind
	Page  int           // from 0; AnyPage for all
	Times int           // how often it happens; 0 means always
	Delay time.Duration // of Slow
	By    int           // of WrongCount, default 1; may be negative

	// Iteration is the id of the iteration concerned; empty means any.
	Iteration string
}

// AnyPage is every page.
const AnyPage = -1

// ParseFault parses a fault from a command line:
// KIND or KIND:page=N,times=N,delay=DURATION,by=N,iteration=ID.
func ParseFault(s string) (Fault, error) {
	kind, options, _ := strings.Cut(s, ":")
	f := Fault{Kind: FaultKind(kind), Page: AnyPage}
	if !slices.Contains(faultKinds, f.Kind) {
		return Fault{}, fmt.Errorf("%q is none of %v", kind, faultKinds)
	}
	for option := range strings.SplitSeq(options, ",") {
		name, value, _ := strings.Cut(option, "=")
		var err error
		switch name {
		case "":
		case "page":
			f.Page, err = strconv.Atoi(value)
		case "times":
			f.Times, err = strconv.Atoi(value)
		case "by":
			f.By, err = strconv.Atoi(value)
		case "iteration":
			f.Iteration = value
		case "delay":
			f.Delay, err = time.ParseDuration(value)
		default:
			err = fmt.Errorf("unknown option %q: want page, times, delay, by or iteration", name)
		}
		if err != nil {
			return Fault{}, fmt.Errorf("%s: %w", s, err)
		}
	}
	return f, nil
}

// Fault adds a fault.
func (s *Service) Fault(f Fault) {
	if f.Kind == WrongCount && f.By == 0 {
		f.By = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// place is a page, or with AnyPage the count, of an iteration.
type place struct {
	iteration string
	page      int
}

func (s *Service) place(p, k, page int) place {
	return place{s.Projects()[p].Iterations[k].ID.String(), page}
}

// takeFault returns the first fault of the kinds for a place, nil if there is none, and
// counts it as happened.
func (s *Service) takeFault(at place, kinds ...FaultKind) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !slices.Contains(kinds, f.Kind) || (f.Page != AnyPage && f.Page != at.page) || (f.Iteration != "" && f.Iteration != at.iteration) {
			continue
		}
		taken := *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &taken
	}
	return nil
}

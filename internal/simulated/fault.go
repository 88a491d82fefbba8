package simulated

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is something that goes wrong.
type FaultKind string

// The faults. Those of pages happen when the page is asked for.
const (
	Slow         FaultKind = "slow"          // the page takes Delay longer
	Error500     FaultKind = "error"         // 500 with code and message
	Busy         FaultKind = "busy"          // 503 with nothing
	Throttle     FaultKind = "throttle"      // 429
	HTML         FaultKind = "html"          // 502 with a gateway's page
	HTML200      FaultKind = "html200"       // 200 with a gateway's page
	Reset        FaultKind = "reset"         // the connection is reset in the middle of the body
	Truncated    FaultKind = "truncated"     // half the JSON, as if it were whole
	Duplicate    FaultKind = "duplicate"     // an image of the page is the one before the page
	MissingID    FaultKind = "missing-id"    // an image has no id
	BadNumber    FaultKind = "bad-number"    // a width that does not fit
	UnknownField FaultKind = "unknown-field" // an image has a new field
	Added        FaultKind = "added"         // an image is added once the page was served
	Removed      FaultKind = "removed"       // the first image is removed once the page was served
	Replaced     FaultKind = "replaced"      // both: there are as many images as before
	Relabelled   FaultKind = "relabelled"    // every image gets other tags once the page was served
	Renamed      FaultKind = "renamed"       // every tag gets another name once the page was served
	Endless      FaultKind = "endless"       // pages behind the last are never empty
	WrongCount   FaultKind = "count"         // the count is By too high
)

var faultKinds = []FaultKind{Slow, Error500, Busy, Throttle, HTML, HTML200, Reset, Truncated, Duplicate, MissingID,
	BadNumber, UnknownField, Added, Removed, Replaced, Relabelled, Renamed, Endless, WrongCount}

// Fault is one fault to switch on.
type Fault struct {
	Kind  FaultKind
	Page  int           // from 0; AnyPage for all
	Times int           // how often it happens; 0 means for good
	Delay time.Duration // of Slow
	By    int           // of WrongCount, default 1; may be negative

	// Iteration is the id of the one it happens to, empty for any.
	Iteration string
}

// AnyPage is every page.
const AnyPage = -1

// ParseFault reads a fault as it is written on a command line:
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

// Fault switches a fault on.
func (s *Service) Fault(f Fault) {
	if f.Kind == WrongCount && f.By == 0 {
		f.By = 1
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// place is where a fault may be due.
type place struct {
	iteration string
	page      int
}

func (s *Service) place(p, k, page int) place {
	return place{s.Projects()[p].Iterations[k].ID.String(), page}
}

// takeFault returns the first fault of the kinds that is due at a place, and
// uses it up by one.
func (s *Service) takeFault(at place, kinds ...FaultKind) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.faults {
		if !slices.Contains(kinds, f.Kind) || (f.Page != AnyPage && f.Page != at.page) || (f.Iteration != "" && f.Iteration != at.iteration) {
			continue
		}
		due := *f
		if f.Times == 1 {
			s.faults = slices.Delete(s.faults, i, i+1)
		} else if f.Times > 1 {
			f.Times--
		}
		return &due
	}
	return nil
}
